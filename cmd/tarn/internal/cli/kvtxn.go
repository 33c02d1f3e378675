// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func (a *app) kvIncr() *cobra.Command {
	var c codec
	cmd := &cobra.Command{
		Use: "incr POOL/CONTAINER/OBJECT KEY [DELTA]", Short: "add to a value that is a decimal number; an absent key counts as 0",
		Long: "The value is a decimal number of 64 bits with a sign, as text. Without DELTA it is incremented by 1; put -- in front of a\n" +
			"DELTA that is negative. The sum is shown.",
		Args: args(2, 3),
	}
	return a.kvVerb(cmd, &c, false, func(args []string) (onKV, error) {
		key, err := c.Key(args[0])
		if err != nil {
			return nil, err
		}
		delta := int64(1)
		if len(args) > 1 {
			if delta, err = strconv.ParseInt(args[1], 10, 64); err != nil {
				return nil, misread("%q is not a decimal number of 64 bits", args[1])
			}
		}
		return func(ctx context.Context, kv system.KV) error {
			sum, err := system.Increment(ctx, kv, key, delta)
			if err != nil {
				return err
			}
			return a.out.Answer(map[string]int64{"value": sum}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, sum)
				return err
			})
		}, nil
	})
}

const aboutTxn = `The standard input has up to three parts, with an empty line between them: comparisons, what is done when all of
them hold, and what is done when one does not. Each line is one of

    exists KEY = true|false          value KEY = VALUE          revision KEY = NUMBER          size KEY = NUMBER
    get KEY                          put KEY VALUE              del KEY

with = != < or > to compare. A key or value that has blanks stands in double quotes, as in Go. All of it happens at one moment.
The exit status is 0 whether the comparisons hold or not: the first line of the answer says which.`

func (a *app) kvTxn() *cobra.Command {
	var c codec
	cmd := &cobra.Command{
		Use: "txn POOL/CONTAINER/OBJECT", Short: "compare keys, then read and change others, at one moment", Long: aboutTxn, Args: args(1, 1),
	}
	return a.kvVerb(cmd, &c, false, func([]string) (onKV, error) {
		txn, err := readTxn(&c, a.Stdin)
		return func(ctx context.Context, kv system.KV) error {
			result, err := system.Transact(ctx, kv, txn)
			if err != nil {
				return err
			}
			return a.out.Answer(c.txnResult(result), func(w io.Writer) error { return c.showTxn(w, result) })
		}, err
	})
}

// txnAnswer is what JSON says of a transaction.
type txnAnswer struct {
	Succeeded bool    `json:"succeeded"`
	Gets      []keyed `json:"gets"`
}

func (c *codec) txnResult(r system.TxnResult) txnAnswer {
	answer := txnAnswer{Succeeded: r.Succeeded, Gets: []keyed{}}
	for _, got := range r.Gets {
		answer.Gets = append(answer.Gets, c.keyed(got.Key, got.Value, got.Value != nil, system.Stat{Size: uint64(len(got.Value)), Revision: got.Revision}))
	}
	return answer
}

func (c *codec) showTxn(w io.Writer, r system.TxnResult) error {
	outcome := "success"
	if !r.Succeeded {
		outcome = "failure"
	}
	if _, err := fmt.Fprintln(w, outcome); err != nil {
		return err
	}
	for _, got := range r.Gets {
		value := "(absent)"
		if got.Value != nil {
			value = c.Encoding.Show(got.Value)
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\n", c.Encoding.Show(got.Key), value); err != nil {
			return err
		}
	}
	return nil
}

func misread(format string, a ...any) error {
	return errno.New("", "", errno.Inval, fmt.Sprintf(format, a...))
}

// readTxn reads the parts of a transaction.
func readTxn(c *codec, r io.Reader) (txn system.Txn, err error) {
	lines, part := bufio.NewScanner(r), 0
	lines.Buffer(nil, 8<<20)
	for n := 1; lines.Scan(); n++ {
		words, err := splitWords(lines.Text())
		if err == nil && len(words) == 0 {
			part++
			continue
		}
		switch {
		case err != nil:
		case part == 0:
			var compare system.Compare
			compare, err = parseCompare(c, words)
			txn.Compares = append(txn.Compares, compare)
		default:
			var step system.Step
			step, err = parseStep(c, words)
			if part == 1 {
				txn.Success = append(txn.Success, step)
			} else {
				txn.Failure = append(txn.Failure, step)
			}
		}
		if err != nil {
			return txn, misread("line %d: %v", n, err)
		}
		if part > 2 {
			return txn, misread("line %d: a transaction has three parts at most", n)
		}
	}
	return txn, lines.Err()
}

// splitWords splits a line at blanks; a word may stand in double quotes.
func splitWords(line string) (words []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" {
			return words, nil
		}
		end := strings.IndexAny(line, " \t\r")
		if end < 0 {
			end = len(line)
		}
		word := line[:end]
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("a quote is not closed in %.64q", line)
			}
			end = len(quoted)
			if word, err = strconv.Unquote(quoted); err != nil {
				return nil, err
			}
		}
		words, line = append(words, word), line[end:]
	}
}

var comparisons = map[string]system.Comparison{"=": system.Equal, "!=": system.NotEqual, "<": system.Less, ">": system.Greater}

func parseCompare(c *codec, words []string) (compare system.Compare, err error) {
	if len(words) != 4 || comparisons[words[2]] == 0 {
		return compare, fmt.Errorf("a comparison looks like: value KEY = VALUE")
	}
	compare.Comparison = comparisons[words[2]]
	if compare.Key, err = c.Key(words[1]); err != nil {
		return compare, err
	}
	switch words[0] {
	case "exists":
		there := words[3] == "true"
		compare.Exists = &there
		if !there && words[3] != "false" {
			return compare, fmt.Errorf("a key exists or not: true or false, not %.32q", words[3])
		}
		return compare, nil
	case "value":
		val, err := c.Key(words[3])
		compare.Value = append([]byte{}, val...)
		return compare, err
	case "revision", "size":
		number, err := strconv.ParseUint(words[3], 10, 64)
		if words[0] == "size" {
			compare.Size = &number
		} else {
			compare.Revision = &number
		}
		if err != nil {
			return compare, fmt.Errorf("%.32q is not a number of 64 bits", words[3])
		}
		return compare, nil
	}
	return compare, fmt.Errorf("%.32q is not exists, value, revision or size", words[0])
}

func parseStep(c *codec, words []string) (step system.Step, err error) {
	want := map[string]int{"get": 2, "del": 2, "put": 3}[words[0]]
	if want == 0 {
		return step, fmt.Errorf("%.32q is not get, put or del", words[0])
	}
	if len(words) != want {
		return step, fmt.Errorf("%s has %d words, and this line %d", words[0], want, len(words))
	}
	key, err := c.Key(words[1])
	if err != nil {
		return step, err
	}
	switch words[0] {
	case "get":
		step.Get = key
	case "del":
		step.Change = system.Mutation{Key: key, Delete: true}
	default:
		step.Change.Key = key
		step.Change.Value, err = c.Key(words[2])
	}
	return step, err
}
