// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ParsePair reads a certificate that this package made, and its key.
func ParsePair(cert, key []byte) (Pair, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return Pair{}, err
	}
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return Pair{}, errors.New("the key is not an ECDSA key; the CA is not one that tarn made")
	}
	return Pair{Cert: pair.Leaf, Key: private}, nil
}

// Blocks reads PEM blocks that are all of one type. A block that ends too early, for the file is only half written, is an error.
func Blocks(text []byte, kind string) ([][]byte, error) {
	var all [][]byte
	block, rest := pem.Decode(text)
	for ; block != nil; block, rest = pem.Decode(rest) {
		if block.Type != kind {
			return nil, fmt.Errorf("it holds something else than %s: %.32q", kind, block.Type)
		}
		all = append(all, block.Bytes)
	}
	switch {
	case bytes.Contains(rest, []byte("-----BEGIN")):
		return nil, errors.New("its end is missing")
	case len(all) == 0:
		return nil, fmt.Errorf("there is no %s in it", kind)
	}
	return all, nil
}

// ParseCerts reads certificates, at least one.
func ParseCerts(text []byte) ([]*x509.Certificate, error) {
	blocks, err := Blocks(text, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, der := range blocks {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, cert)
	}
	return all, nil
}

// ParseLists reads revocation lists, each signed by one of the authorities.
func ParseLists(text []byte, authorities []*x509.Certificate) ([]*x509.RevocationList, error) {
	blocks, err := Blocks(text, "X509 CRL")
	if err != nil {
		return nil, err
	}
	var all []*x509.RevocationList
	for _, der := range blocks {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, err
		}
		if !signedByOne(list, authorities) {
			return nil, errors.New("a revocation list in it was signed by none of the client authorities")
		}
		all = append(all, list)
	}
	return all, nil
}

func signedByOne(list *x509.RevocationList, authorities []*x509.Certificate) bool {
	for _, ca := range authorities {
		if list.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}
