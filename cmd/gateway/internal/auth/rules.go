// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// Rule is what the caller of a method must be, and what access control lists must give.
type Rule struct {
	Access apiv1.Access
	Needs  []apiv1.Permission
}

// administers reports whether a method is work of administrators, or of those whom a container's list makes something of the kind.
func (r Rule) administers() bool {
	return r.Access == apiv1.Access_ACCESS_ADMIN || r.Access == apiv1.Access_ACCESS_RAW || slices.ContainsFunc(r.Needs, func(p apiv1.Permission) bool {
		return p == apiv1.Permission_PERMISSION_SET_PROPERTIES || p == apiv1.Permission_PERMISSION_SET_ACL || p == apiv1.Permission_PERMISSION_SET_OWNER
	})
}

// Rules are those of each method, by its full name: "/tarn.v1.KeyValueService/Get".
type Rules map[string]Rule

// foreign are the services that others wrote.
var foreign = map[string]apiv1.Access{
	healthpb.Health_ServiceDesc.ServiceName:                  apiv1.Access_ACCESS_CALLER,
	reflectionpb.ServerReflection_ServiceDesc.ServiceName:    apiv1.Access_ACCESS_CALLER,
	reflectionalpha.ServerReflection_ServiceDesc.ServiceName: apiv1.Access_ACCESS_CALLER,
}

// RulesOf reads the rules of everything that a server offers from the descriptors. A method without a rule is an error.
func RulesOf(services map[string]grpc.ServiceInfo) (Rules, error) {
	rules := Rules{}
	for service, info := range services {
		for _, method := range info.Methods {
			rule, err := ruleOf(service, method.Name)
			if err != nil {
				return nil, err
			}
			rules["/"+service+"/"+method.Name] = rule
		}
	}
	return rules, nil
}

func ruleOf(service, method string) (Rule, error) {
	if access, ok := foreign[service]; ok {
		return Rule{access, []apiv1.Permission{apiv1.Permission_PERMISSION_NONE}}, nil
	}
	full := protoreflect.FullName(service + "." + method)
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(full)
	if err != nil {
		return Rule{}, err
	}
	access, _ := proto.GetExtension(d.Options(), apiv1.E_Access).(apiv1.Access)
	needs, _ := proto.GetExtension(d.Options(), apiv1.E_Permission).([]apiv1.Permission)
	switch {
	case access == apiv1.Access_ACCESS_UNSPECIFIED:
		return Rule{}, fmt.Errorf("%s has no option (tarn.v1.access): who may call it is not known", full)
	case len(needs) == 0 || slices.Contains(needs, apiv1.Permission_PERMISSION_UNSPECIFIED):
		return Rule{}, fmt.Errorf("%s has no option (tarn.v1.permission): what an access control list must give is not known", full)
	}
	return Rule{access, needs}, nil
}

// open reports whether a call needs no credential: whether the gateway as a whole is up is what a load balancer asks.
func open(method string, req any) bool {
	check, ok := req.(*healthpb.HealthCheckRequest)
	return ok && method == healthpb.Health_Check_FullMethodName && check.GetService() == ""
}

// accessName is what a caller must be, in words.
func accessName(needs apiv1.Access) string {
	name, _ := strings.CutPrefix(needs.String(), "ACCESS_")
	return "the role " + strings.ToLower(name)
}
