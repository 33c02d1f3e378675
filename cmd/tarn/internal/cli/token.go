// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
)

const aboutToken = `Makes bearer tokens: short-lived, signed with Ed25519, for those who call a gateway without a certificate.

  tarn token keygen                                the key: token.key signs, token.pub verifies
  tarn token sign alice --role writer --for 1h     prints a token
  tarn token show TOKEN                            prints what a token says

  tarn-gateway --token-keys token.pub --token-revoked revoked.txt ...
  tarn --endpoint gateway.example.org:7447 --tls-ca ca.pem --token-file alice.token pool list

A token lives for a day at most. To revoke one before that, write its id into the file of --token-revoked; to revoke all that a key
signed, take the key out of the file of --token-keys, which may hold several.`

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "make bearer tokens for those who call a gateway", Long: aboutToken, RunE: group, Args: cobra.ArbitraryArgs}
	cmd.AddCommand(a.tokenKeygen(), a.tokenSign(), a.tokenShow())
	return cmd
}

func (a *app) tokenKeygen() *cobra.Command {
	var private, public string
	cmd := &cobra.Command{
		Use: "keygen", Short: "make a key that signs tokens", Args: args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			priv, pub, err := token.Generate()
			if err != nil {
				return err
			}
			if err := create(private, priv, 0o600); err != nil {
				return err
			}
			if err := create(public, pub, 0o644); err != nil {
				return err
			}
			return a.out.Answer(map[string]any{"files": []string{private, public}}, func(w io.Writer) error {
				return out.Fields(w, out.Field{Name: "Signs", Value: private}, out.Field{Name: "Verifies", Value: public})
			})
		},
	}
	cmd.Flags().StringVar(&private, "key", "token.key", "file to make for the private half")
	cmd.Flags().StringVar(&public, "public", "token.pub", "file to make for the public half, which gateways get")
	return cmd
}

func (a *app) tokenSign() *cobra.Command {
	var path, audience string
	var roles, groups []string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "sign NAME", Short: "print a token for NAME", Args: args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := role.Parse(roles)
			if err != nil {
				return usage("--role: %v", err)
			}
			return a.sign(path, token.Token{Principal: args[0], Roles: set, Groups: groups, Audience: audience}, life)
		},
	}
	cmd.Flags().StringVar(&path, "key", "token.key", "file of the private half of the key")
	cmd.Flags().StringVar(&audience, "audience", token.DefaultAudience, "the gateways that it is for, as their --token-audience says")
	cmd.Flags().StringSliceVar(&roles, "role", []string{"reader"}, "reader, writer, admin, raw; several with commas")
	cmd.Flags().StringSliceVar(&groups, "group", nil, "groups of NAME, for access control lists; several with commas")
	cmd.Flags().DurationVar(&life, "for", time.Hour, "how long it is valid, a day at most")
	return cmd
}

func (a *app) sign(path string, t token.Token, life time.Duration) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	key, err := token.ParsePrivate(text)
	if err != nil {
		return errno.New("", path, errno.Inval, err.Error())
	}
	signed, err := token.Sign(key, t, life)
	if err != nil {
		return usage("%v", err)
	}
	return a.out.Answer(map[string]string{"token": signed}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, signed)
		return err
	})
}

func (a *app) tokenShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [TOKEN]", Short: "print what a token says, or the one on the standard input, without verifying it", Args: args(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.tokenText(args)
			if err != nil {
				return err
			}
			t, err := token.Show(text)
			if err != nil {
				return errno.New("", "", errno.Inval, err.Error())
			}
			return a.answerToken(t)
		},
	}
}

// tokenText is the argument, or else what the standard input holds.
func (a *app) tokenText(args []string) (string, error) {
	if len(args) > 0 && args[0] != "-" {
		return args[0], nil
	}
	text, err := io.ReadAll(io.LimitReader(a.Stdin, token.BytesMax))
	return strings.TrimSpace(string(text)), err
}

func (a *app) answerToken(t token.Token) error {
	answer := map[string]any{"id": t.ID, "principal": t.Principal, "roles": t.Roles.Names(), "groups": list(t.Groups), "audience": t.Audience, "issued": t.Issued.UTC(),
		"expires": t.Expires.UTC(), "key": t.Key}
	return a.out.Answer(answer, func(w io.Writer) error {
		return out.Fields(w,
			out.Field{Name: "ID", Value: t.ID},
			out.Field{Name: "Principal", Value: t.Principal},
			out.Field{Name: "Roles", Value: strings.Join(t.Roles.Names(), ", ")},
			out.Field{Name: "Groups", Value: strings.Join(t.Groups, ", ")},
			out.Field{Name: "Audience", Value: t.Audience},
			out.Field{Name: "Issued", Value: t.Issued.UTC().Format(time.RFC3339)},
			out.Field{Name: "Expires", Value: t.Expires.UTC().Format(time.RFC3339)},
			out.Field{Name: "Key", Value: t.Key})
	})
}
