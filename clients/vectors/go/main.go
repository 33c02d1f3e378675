// SPDX-License-Identifier: Apache-2.0

// Command go runs conformance vectors over the generated Go messages: go FILE.json... (README.md above says what a file holds).
//
// A line for each vector, "ok NAME" or "not ok NAME: why", and the exit status 1 when one is not ok. The gateway and who calls come from
// TARN_ENDPOINT, TARN_TLS_CA and TARN_TOKENS, the container to work in from TARN_CONTAINER, a new UUID from TARN_UUID. It uses
// no client package of Tarn: a vector is what any client sees.
package main

import (
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func main() {
	failed, err := runAll(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// runAll runs the vectors of all files; failed says that one was not ok.
func runAll(paths []string) (failed bool, err error) {
	transport, err := credentials.NewClientTLSFromFile(os.Getenv("TARN_TLS_CA"), "")
	if err != nil {
		return false, err
	}
	conn, err := grpc.NewClient(os.Getenv("TARN_ENDPOINT"), grpc.WithTransportCredentials(transport))
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // the process ends
	for _, path := range paths {
		doc, err := readDocument(path)
		if err != nil {
			return false, err
		}
		for _, v := range doc.Vectors {
			why := v.run(conn, doc.Ignore)
			failed = failed || why != nil
			report(v.Name, why)
		}
	}
	return failed, nil
}

func report(name string, why error) {
	if why == nil {
		fmt.Println("ok", name)
		return
	}
	fmt.Printf("not ok %s: %s\n", name, strings.ReplaceAll(why.Error(), "\n", " "))
}
