// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/internal/audit"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
)

const aboutAudit = `Verifies the audit log of a gateway: that no line was changed, left out, put in or moved. Each line has the hash of the line
before. That lines are missing at the end shows only in the count and in the last hash: compare them with what you noted before.

Exit status: 0 it is whole, 8 it was changed.`

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "verify the audit log of a gateway", Long: aboutAudit, RunE: group, Args: cobra.ArbitraryArgs}
	cmd.AddCommand(&cobra.Command{
		Use: "verify FILE", Short: "say whether an audit log is as it was written", Long: aboutAudit, Args: args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return a.verifyAudit(args[0]) },
	})
	return cmd
}

func (a *app) verifyAudit(path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s, err := audit.Verify(file)
	if err != nil {
		return errno.New("audit verify", path, errno.Csum, "the audit log is not as it was written: "+err.Error())
	}
	return a.out.Answer(s, func(w io.Writer) error {
		return out.Fields(w, out.Field{Name: "Entries", Value: strconv.FormatUint(s.Entries, 10)}, out.Field{Name: "Last hash", Value: s.Last})
	})
}
