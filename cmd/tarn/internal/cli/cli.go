// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const about = `tarn keeps durable, ordered key-value objects in pools on files and devices.

A pool holds containers, a container holds objects, an object holds keys: TANK/NEO/STADIUM names an object.
Without --endpoint a gateway that listens on tarn.sock in the root directory is used, if there is one; else the
pools of that directory are opened in this process.

  tarn pool create tank --size 1G
  tarn cont create tank neo --type KV
  tarn kv put  tank/neo/stadium Barcelona "Camp Nou"
  tarn kv get  tank/neo/stadium Barcelona

Exit status: 0 ok, 1 other error, 2 usage, 3 not found, 4 exists, 5 permission, 6 busy: retry, 7 no space,
8 corruption, 9 unreachable or time is up, 130 interrupted.`

// app is one run of the command line.
type app struct {
	Env
	out     out.Printer
	where   Where
	output  string
	timeout time.Duration
	quiet   bool
	exit    int // of a command that succeeded, when its answer is a no
}

// Run runs the command line and returns its exit status.
func Run(ctx context.Context, args []string, env Env) int {
	env.Stdin = interruptible{ctx, env.Stdin}
	a := &app{Env: env, out: out.Printer{Out: env.Stdout, Err: env.Stderr, JSON: wantsJSON(args)}}
	root := a.command()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil && a.helped(cmd, args) {
		return out.ExitOK
	}
	if exit := a.out.Done(a.explain(ctx, cmd, err)); exit != out.ExitOK {
		return exit
	}
	return a.exit
}

// command builds the tree of commands.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use: "tarn", Short: "durable key-value objects in pools", Long: about,
		SilenceErrors: true, SilenceUsage: true, RunE: group, Args: cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) },
	}
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.StringVar(&a.where.Root, "root", "", "directory of the pools (default $TARN_ROOT, else $XDG_DATA_HOME/tarn, else ~/.local/share/tarn)")
	f.StringVar(&a.where.Endpoint, "endpoint", "", "gateway: unix:PATH or HOST:PORT (default $TARN_ENDPOINT, else ROOT/tarn.sock if it answers)")
	f.StringVar(&a.where.TLSCA, "tls-ca", "", "PEM file of the CA of the gateway at --endpoint, or \"system\" (default $TARN_TLS_CA)")
	f.StringVar(&a.where.TLSCert, "tls-cert", "", "PEM file of your certificate (default $TARN_TLS_CERT)")
	f.StringVar(&a.where.TLSKey, "tls-key", "", "PEM file of its key (default $TARN_TLS_KEY)")
	f.StringVar(&a.where.Token, "token", "", "bearer token, which other users of this machine can see (default $TARN_TOKEN)")
	f.StringVar(&a.where.TokenFile, "token-file", "", "file that holds the bearer token (default $TARN_TOKEN_FILE)")
	f.StringVarP(&a.output, "output", "o", "table", "table or json")
	f.DurationVar(&a.timeout, "timeout", 0, "give up after this time, such as 30s (default: never)")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no notes on the standard error")
	complete(root, "output", "table", "json")
	root.AddCommand(a.poolCommand(), a.contCommand(), a.objCommand(), a.kvCommand(), a.snapCommand(), a.importCommand(),
		a.exportCommand(), a.bulkCommand(), a.checkCommand(), a.scrubCommand(), a.syncCommand(), a.devCommand(), a.benchCommand(), a.topCommand(), a.gatewayCommand(), a.certCommand(), a.tokenCommand(),
		a.auditCommand(), a.versionCommand())
	return root
}

// flagError is what a flag that is not right is answered with. A key may look like one.
func flagError(cmd *cobra.Command, err error) error {
	if strings.HasPrefix(err.Error(), "unknown shorthand flag") && cmd.Parent() != nil && cmd.Parent().Name() == "kv" {
		return out.WithHint(usage("%v", err), "put -- in front of keys and values that begin with a dash")
	}
	return usage("%s", plainly(err.Error()))
}

// plainly says what the flag takes, where Go says which of its functions did not take it.
func plainly(text string) string {
	what, why, _ := strings.Cut(text, ": strconv.Parse")
	switch {
	case strings.HasSuffix(why, "value out of range"):
		return what + ": the number is out of range"
	case strings.HasPrefix(why, "Int"):
		return what + ": give a whole number"
	case strings.HasPrefix(why, "Uint"):
		return what + ": give a whole number, 0 or more"
	case strings.HasPrefix(why, "Float"):
		return what + ": give a number, such as 2 or 0.5"
	}
	if what, _, is := strings.Cut(text, ": time: "); is {
		return what + ": give a time with its unit, such as 500ms, 30s or 2m"
	}
	return text
}

func complete(cmd *cobra.Command, flag string, words ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag does not exist: a mistake in this package
	}
}

func (a *app) checkFlags(cmd *cobra.Command) error {
	if err := cmd.ValidateFlagGroups(); err != nil {
		return usage("%v", err)
	}
	if a.output != "table" && a.output != "json" {
		return usage("--output is table or json, not %q", a.output)
	}
	if a.where.Root != "" && a.where.Endpoint != "" {
		return usage("--root and --endpoint exclude each other: a gateway has its own root")
	}
	return nil
}

// group is what a command that only has commands below it does: without arguments it prints its help.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("there is no command %q in %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage("%s", text)
}

// wantsJSON finds "-o json" in arguments that may not be valid: usage errors are JSON, too.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == "json" {
				return true
			}
		case "-ojson", "-o=json", "--output=json":
			return true
		}
	}
	return false
}

// helped reports whether cmd printed a help text or a completion script, which is an answer by itself.
func (a *app) helped(cmd *cobra.Command, args []string) bool {
	help, err := cmd.Flags().GetBool("help")
	isGroup := cmd.HasSubCommands() && (cmd.Args == nil || !cmd.HasParent()) // 'check' does something by itself, too
	if err == nil && help || isGroup || cmd.Name() == "help" {
		return true
	}
	if cmd.HasParent() && cmd.Parent().Name() == "completion" {
		return true
	}
	return len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd)
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(format string, args ...any) error {
	return usageError{errno.New("", "", errno.Inval, fmt.Sprintf(format, args...))}
}

// explain adds to an error what only this package knows: that the user interrupted, and where the help is.
func (a *app) explain(ctx context.Context, cmd *cobra.Command, err error) error {
	var u usageError
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		e := errno.New("", "", errno.Canceled, "interrupted")
		e.Err = err
		return e
	case errors.As(err, &u):
		return out.WithHint(err, "see '"+cmd.CommandPath()+" --help'")
	}
	return err
}

// args checks the number of arguments and says what they are.
func args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		_, form, _ := strings.Cut(cmd.Use, " ")
		switch {
		case len(args) < least:
			return usage("an argument is missing: write it as '%s %s'", cmd.CommandPath(), form)
		case most >= 0 && len(args) > most:
			return usage("%q is one argument too many: write it as '%s %s'", args[most], cmd.CommandPath(), form)
		}
		return nil
	}
}

// opener finds the system: at a gateway, or in this process.
type opener = func(ctx context.Context, w Where) (system.System, error)

// with runs f on the system, with the time that the user gives it.
func (a *app) with(cmd *cobra.Command, f func(ctx context.Context, sys system.System) error) error {
	return a.withSystem(cmd, a.Connect, f)
}

func (a *app) withSystem(cmd *cobra.Command, open opener, f func(ctx context.Context, sys system.System) error) error {
	ctx := cmd.Context()
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	sys, err := open(ctx, a.where)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, sys), sys.Close())
}

// onPool is what a command does with a pool.
type onPool func(ctx context.Context, pool system.Pool) error

func (a *app) withPool(cmd *cobra.Command, p arg.Path, f onPool) error {
	return a.with(cmd, inPool(p, f))
}

// withLocalPool opens the pool in this process, whatever gateway there is.
func (a *app) withLocalPool(cmd *cobra.Command, p arg.Path, f onPool) error {
	return a.withSystem(cmd, a.OpenLocal, inPool(p, f))
}

func inPool(p arg.Path, f onPool) func(ctx context.Context, sys system.System) error {
	return func(ctx context.Context, sys system.System) error {
		pool, err := sys.OpenPool(ctx, p.Pool)
		if err != nil {
			return ifAbsent(err, "'tarn pool list' shows the pools there are")
		}
		return errors.Join(f(ctx, pool), pool.Close())
	}
}

func (a *app) withContainer(cmd *cobra.Command, p arg.Path, f func(ctx context.Context, cont system.Container) error) error {
	return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
		cont, err := pool.OpenContainer(ctx, p.Container)
		if err != nil {
			return ifAbsent(err, "'tarn cont list "+p.Pool+"' shows the containers there are")
		}
		return errors.Join(f(ctx, cont), cont.Close())
	})
}

func (a *app) withKV(cmd *cobra.Command, p arg.Path, create bool, f onKV) error {
	return a.withContainer(cmd, p, inContainer(p, create, f))
}

// withOldKV opens the object as it was in a snapshot.
func (a *app) withOldKV(cmd *cobra.Command, p arg.Path, at system.SnapshotRef, f onKV) error {
	return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
		old, err := cont.OpenSnapshot(ctx, at)
		if err != nil {
			return absentSnapshot(err, p)
		}
		return errors.Join(inContainer(p, false, f)(ctx, old), old.Close())
	})
}

func inContainer(p arg.Path, create bool, f onKV) func(ctx context.Context, cont system.Container) error {
	return func(ctx context.Context, cont system.Container) error {
		kv, err := cont.OpenKV(ctx, p.Object, create)
		if err != nil {
			return ifAbsent(err, "'tarn obj list "+p.Pool+"/"+p.Container+"' shows the objects there are")
		}
		return errors.Join(f(ctx, kv), kv.Close())
	}
}

// ifAbsent adds a hint to an error that says that something is not there.
func ifAbsent(err error, hint string) error {
	if out.Exit(err) == out.ExitNotFound {
		return out.WithHint(err, hint)
	}
	return err
}
