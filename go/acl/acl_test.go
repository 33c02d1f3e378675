// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("x", PrincipalMax-1)
	for text, want := range map[string]string{
		"":                   "",
		"\n\n# nothing\n":    "",
		"A::OWNER@:oAaTtdwr": "A::OWNER@:rwdtTaAo",
		"A::bob@:":           "A::bob@:",
		"A::" + long + "@:r": "A::" + long + "@:r",
		"A::EVERYONE@:r\nA:G:b@:r\nA:G:GROUP@:r\nA::z@:r\nA::a@:w\nA::OWNER@:t": "A::OWNER@:t A::a@:w A::z@:r A:G:GROUP@:r A:G:b@:r A::EVERYONE@:r",
		"A:G:a@:r\nA::a@:r":        "A::a@:r A:G:a@:r", // a user and a group
		"A::\\DOMAIN\\#user@:rw\n": "A::\\DOMAIN\\#user@:rw",
	} {
		list, err := Parse(Container, text)
		if got := strings.Join(list.Strings(), " "); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
		code errno.Code
	}{
		{Pool, "A::a@:rwcdt", 0}, {Container, "A::a@:rwdtTaAo", 0},
		{Pool, "A::a@:T", errno.Inval}, {Pool, "A::a@:a", errno.Inval}, {Pool, "A::a@:A", errno.Inval}, {Pool, "A::a@:o", errno.Inval},
		{Container, "A::a@:c", errno.Inval}, {Container, "A::a@:rr", errno.Inval}, {Container, "A::a@:x", errno.Inval},
		{Container, "A::a@:r ", errno.Inval}, {Container, " A::a@:r", errno.Inval}, {Container, "A::a@:r\r", errno.Inval},
		{Container, "A::a@", errno.Inval}, {Container, "A", errno.Inval}, {Container, ":::", errno.Inval}, {Container, "A::a@:r:", errno.Inval},
		{Container, "a::a@:r", errno.Inval}, {Container, "AA::a@:r", errno.Inval}, {Container, "A:g:a@:r", errno.Inval}, {Container, "A:GG:a@:r", errno.NotSupported},
		{Container, "A:P:a@:r", errno.NotSupported}, {Container, "A:GP:a@:r", errno.NotSupported}, {Container, "U:S:a@:r", errno.NotSupported},
		{Container, "AUL::a@:r", errno.NotSupported},
		{Container, "A::a:r", errno.Inval}, {Container, "A::@:r", errno.Inval}, {Container, "A:::r", errno.Inval}, {Container, "A::a@b@:r", errno.Inval},
		{Container, "A::a@domain:r", errno.Inval}, {Container, "A::a b@:r", errno.Inval}, {Container, "A::ä@:r", errno.Inval},
		{Container, "A::a\x00@:r", errno.Inval}, {Container, "A::" + strings.Repeat("x", PrincipalMax) + "@:r", errno.Inval},
		{Container, "A:G:OWNER@:r", errno.Inval}, {Container, "A:G:EVERYONE@:r", errno.Inval}, {Container, "A::GROUP@:r", errno.Inval},
		{Container, "A::a@:r\nA::a@:w", errno.Inval}, {Container, "A::OWNER@:\nA::OWNER@:", errno.Inval},
		{Container, strings.Repeat("#", Max), errno.Rec2Big},
	} {
		_, err := Parse(c.kind, c.text)
		if c.code == 0 && err != nil || c.code != 0 && !errors.Is(err, c.code) {
			t.Errorf("%v %.60q: %v, want %v", c.kind, c.text, err, c.code)
		}
	}
}

// TestPerms is DAOS's order, case by case.
func TestPerms(t *testing.T) {
	who := func(user string, groups ...string) Who { return Who{Users: []string{user}, Groups: groups} }
	owned := Owner{User: "anna", Group: "staff"}
	const full = "A::OWNER@:o\nA::bob@:r\nA:G:GROUP@:t\nA:G:dev@:w\nA:G:ops@:d\nA::EVERYONE@:a"
	for _, c := range []struct {
		list  string
		who   Who
		owner Owner
		want  string
	}{
		{full, who("anna", "staff", "dev"), owned, "o"},                                  // the owner's entry, and nothing else
		{full, who("anna"), Owner{User: "anna@"}, "o"},                                   // as DAOS writes the owner
		{full, who("anna", "staff"), Owner{Group: "staff"}, "t"},                         // not the owner
		{full, who("bob", "staff", "dev"), owned, "r"},                                   // the name goes before groups
		{full, who("eve", "dev", "ops"), owned, "wd"},                                    // groups together
		{full, who("eve", "staff", "dev", "ops"), owned, "wdt"},                          // the owner's group is one of them
		{full, who("eve", "staff"), Owner{User: "anna", Group: "staff@"}, "t"},           //
		{full, who("eve", "nobody"), owned, "a"},                                         //
		{full, Who{}, owned, "a"},                                                        // without a name
		{full, Who{}, Owner{}, "a"},                                                      // nobody is not the owner of what nobody owns
		{full, who(""), Owner{}, "a"},                                                    //
		{full, who("eve", ""), Owner{}, "a"},                                             //
		{full, Who{Users: []string{"0", "bob"}}, owned, "r"},                             // any of the names
		{"A::bob@:\nA::EVERYONE@:r", who("bob"), owned, ""},                              // that is how a user is denied
		{"A:G:dev@:\nA:G:ops@:r\nA::EVERYONE@:rw", who("eve", "dev", "ops"), owned, "r"}, // and a group is not
		{"A:G:dev@:\nA::EVERYONE@:rw", who("eve", "dev"), owned, ""},                     // but one that is in no other
		{"A::bob@:r", who("eve"), owned, ""},                                             // what is not given is denied
		{"A::bob@:r", who("bob@"), owned, ""},                                            // such a name is nobody's
		{"A::bob@:r", who("Bob"), owned, ""},                                             //
		{"A:G:bob@:r", who("bob"), owned, ""},                                            // a group is not a user
		{"A::dev@:r", who("eve", "dev"), owned, ""},                                      // nor a user a group
		{"A::EVERYONE@:r", who("anna"), owned, "r"},                                      // without OWNER@ the owner is like others
		{"A::OWNER@:rw", who("OWNER"), owned, ""},                                        // and a name is only a name
		{"A::EVERYONE@:rw", who("EVERYONE"), owned, "rw"},                                //
		{"", who("anna"), owned, ""},                                                     //
	} {
		list, err := Parse(Container, c.list)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Perms(c.who, c.owner).String(); got != c.want {
			t.Errorf("%q of %+v gives %+v %q, want %q", c.list, c.owner, c.who, got, c.want)
		}
	}
}

// FuzzParse: what is read is written so that it reads the same, and gives everybody the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"A::OWNER@:rw\nA:G:GROUP@:r", "# c\n\nA::bob@:\nA::EVERYONE@:rwdtTaAo", "A:G:x@:c", "U:S:a@:r", "A::a@b:r"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, pool bool) {
		kind := Container
		if pool {
			kind = Pool
		}
		list, err := Parse(kind, text)
		if err != nil {
			if code := errno.CodeOf(err); code != errno.Inval && code != errno.NotSupported && code != errno.Rec2Big {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(kind, strings.Join(list.Strings(), "\n"))
		if err != nil || strings.Join(again.Strings(), "\n") != strings.Join(list.Strings(), "\n") {
			t.Fatalf("%q: %v, %v", text, again, err)
		}
		who := Who{Users: []string{"bob"}, Groups: []string{"x", "GROUP"}}
		for _, o := range []Owner{{}, {User: "bob"}, {Group: "x"}} {
			if list.Perms(who, o) != again.Perms(who, o) {
				t.Fatalf("%q gives two things", text)
			}
		}
	})
}
