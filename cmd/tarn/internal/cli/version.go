// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the versions of this program and of what it is made of", Args: args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := a.Version()
			return a.out.Answer(v, func(w io.Writer) error {
				return out.Fields(w,
					out.Field{Name: "tarn", Value: v.CLI},
					out.Field{Name: "libtarn", Value: v.Library},
					out.Field{Name: "Go", Value: v.Go},
					out.Field{Name: "Platform", Value: v.Platform},
					out.Field{Name: "Features", Value: strings.Join(v.Features, ", ")})
			})
		},
	}
}
