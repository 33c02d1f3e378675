// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/go/errno"
)

const aboutCert = `Makes the certificates of a gateway and of those who call it, with a certificate authority (CA) of your own.

  tarn cert ca                                  the authority: ca.pem, its key ca.key, and crl.pem
  tarn cert server gateway.example.org 10.0.0.7 what the gateway shows: gateway.example.org.pem and .key
  tarn cert client alice --role writer          what alice shows: alice.pem and alice.key
  tarn cert revoke tarn-certs/alice.pem         alice may no longer

  tarn-gateway --listen 0.0.0.0:7447 --tls-cert tarn-certs/gateway.example.org.pem --tls-key tarn-certs/gateway.example.org.key \
      --tls-client-ca tarn-certs/ca.pem --tls-crl tarn-certs/crl.pem
  tarn --endpoint gateway.example.org:7447 --tls-ca tarn-certs/ca.pem --tls-cert alice.pem --tls-key alice.key pool list

Files are made in --dir. Keep ca.key to yourself, and away from the gateway: it needs the others only.
Roles: reader reads, writer also writes, admin also makes and destroys pools and containers, raw uses devices.`

const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 365 * 24 * time.Hour
	clientLife = 90 * 24 * time.Hour
	listLife   = 5 * 365 * 24 * time.Hour
)

// certs is the directory of an authority.
type certs struct{ dir string }

func (c certs) path(name string) string { return filepath.Join(c.dir, name) }

func (a *app) certCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cert", Short: "make certificates for a gateway and its callers", Long: aboutCert, RunE: group, Args: cobra.ArbitraryArgs}
	c := &certs{}
	cmd.PersistentFlags().StringVar(&c.dir, "dir", "tarn-certs", "directory of the authority")
	cmd.AddCommand(a.certCA(c), a.certServer(c), a.certClient(c), a.certRevoke(c), a.certShow())
	return cmd
}

func (a *app) certCA(c *certs) *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use: "ca", Short: "make an authority: its certificate, its key, and an empty revocation list", Args: args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if err := os.MkdirAll(c.dir, 0o700); err != nil {
				return err
			}
			ca, err := pki.NewCA("Tarn CA", life)
			if err != nil {
				return err
			}
			if err := c.save("ca", ca); err != nil {
				return err
			}
			list, err := ca.RevocationList(nil, listLife)
			if err != nil {
				return err
			}
			if err := create(c.path("crl.pem"), list, 0o644); err != nil {
				return err
			}
			return a.answerCert(ca.Cert, []string{c.path("ca.pem"), c.path("ca.key"), c.path("crl.pem")})
		},
	}
	cmd.Flags().DurationVar(&life, "for", caLife, "how long it is valid")
	return cmd
}

func (a *app) certServer(c *certs) *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use: "server HOST...", Short: "make the certificate of a gateway that is reached by these names and addresses", Args: args(1, -1),
		RunE: func(_ *cobra.Command, hosts []string) error {
			return a.issue(c, hosts[0], func(ca pki.Pair) (pki.Pair, error) { return ca.Server(hosts, life) })
		},
	}
	cmd.Flags().DurationVar(&life, "for", serverLife, "how long it is valid")
	return cmd
}

func (a *app) certClient(c *certs) *cobra.Command {
	var life time.Duration
	var roles, groups []string
	cmd := &cobra.Command{
		Use: "client NAME", Short: "make the certificate of somebody who calls", Args: args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := role.Parse(roles)
			if err != nil {
				return usage("--role: %v", err)
			}
			if err := errors.Join(role.CheckPrincipal(args[0]), role.CheckGroups(groups)); err != nil {
				return usage("%v", err)
			}
			return a.issue(c, args[0], func(ca pki.Pair) (pki.Pair, error) { return ca.Client(args[0], set, life, groups...) })
		},
	}
	cmd.Flags().DurationVar(&life, "for", clientLife, "how long it is valid")
	cmd.Flags().StringSliceVar(&roles, "role", []string{"reader"}, "reader, writer, admin, raw; several with commas")
	cmd.Flags().StringSliceVar(&groups, "group", nil, "groups that it is in, for access control lists; several with commas")
	return cmd
}

// issue makes a certificate and saves it under the name. A name is never a path.
func (a *app) issue(c *certs, name string, sign func(ca pki.Pair) (pki.Pair, error)) error {
	if strings.ContainsRune(name, os.PathSeparator) || strings.HasPrefix(name, ".") || name == "ca" {
		return usage("%q cannot be the name of a certificate", name)
	}
	ca, err := c.authority()
	if err != nil {
		return err
	}
	pair, err := sign(ca)
	if err != nil {
		return err
	}
	if err := c.save(name, pair); err != nil {
		return err
	}
	return a.answerCert(pair.Cert, []string{c.path(name + ".pem"), c.path(name + ".key")})
}

// authority reads the CA.
func (c certs) authority() (pki.Pair, error) {
	cert, err := readFile(c.path("ca.pem"))
	if err != nil {
		return pki.Pair{}, ifAbsent(err, "make an authority with 'tarn cert ca'")
	}
	key, err := readFile(c.path("ca.key"))
	if err != nil {
		return pki.Pair{}, err
	}
	return pki.ParsePair(cert, key)
}

// save writes a pair into two new files.
func (c certs) save(name string, p pki.Pair) error {
	cert, key, err := p.PEM()
	if err != nil {
		return err
	}
	if err := create(c.path(name+".key"), key, 0o600); err != nil {
		return err
	}
	return create(c.path(name+".pem"), cert, 0o644)
}

// create writes a file that is not there yet.
func create(path string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return errno.New("", path, errno.Exist, "the file is there already, and is left as it is; remove it, or take another name")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// replace puts a new file in the place of another one at one moment.
func replace(path string, text []byte) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := create(next, text, 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func (a *app) certRevoke(c *certs) *cobra.Command {
	return &cobra.Command{
		Use: "revoke FILE...", Short: "put certificates on the revocation list", Args: args(1, -1),
		RunE: func(_ *cobra.Command, paths []string) error {
			ca, err := c.authority()
			if err != nil {
				return err
			}
			serials, err := serialsOf(paths)
			if err != nil {
				return err
			}
			return c.revoke(ca, serials)
		},
	}
}

func serialsOf(paths []string) ([]*big.Int, error) {
	var all []*big.Int
	for _, path := range paths {
		cert, err := readCert(path)
		if err != nil {
			return nil, err
		}
		all = append(all, cert.SerialNumber)
	}
	return all, nil
}

// readFile says in plain words that a file is not there.
func readFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errno.New("", path, errno.NonExist, "there is no such file")
	}
	return text, err
}

func readCert(path string) (*x509.Certificate, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	all, err := pki.ParseCerts(text)
	if err != nil {
		return nil, errno.New("", path, errno.Inval, err.Error())
	}
	return all[0], nil
}

func (c certs) revoke(ca pki.Pair, serials []*big.Int) error {
	text, err := readFile(c.path("crl.pem"))
	if err != nil {
		return err
	}
	lists, err := pki.ParseLists(text, []*x509.Certificate{ca.Cert})
	if err != nil {
		return errno.New("", c.path("crl.pem"), errno.Inval, err.Error())
	}
	list, err := ca.RevocationList(lists[0], listLife, serials...)
	if err != nil {
		return err
	}
	return replace(c.path("crl.pem"), list)
}

func (a *app) certShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "print what a certificate says", Args: args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			cert, err := readCert(args[0])
			if err != nil {
				return err
			}
			return a.answerCert(cert, nil)
		},
	}
}
