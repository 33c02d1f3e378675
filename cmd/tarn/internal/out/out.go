// SPDX-License-Identifier: Apache-2.0

package out

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tarn-storage/tarn/go/errno"
)

// Printer writes the answer of one command. JSON says that it is one document; Done must be called exactly once, last.
type Printer struct {
	Out, Err io.Writer
	JSON     bool
	response []byte
	stream   bool // the document has been begun by List
	broken   error
}

// Answer gives the answer: as JSON it is the response, else text writes it.
func (p *Printer) Answer(response any, text func(io.Writer) error) (err error) {
	if p.JSON {
		p.response, err = json.Marshal(response)
		return err
	}
	return text(p.Out)
}

// List begins an answer that is a list of any length: the function that it returns adds a line.
func (p *Printer) List() (add func(item any, text string) error) {
	if !p.JSON {
		return func(_ any, text string) error {
			_, err := io.WriteString(p.Out, text+"\n")
			return err
		}
	}
	p.stream = true
	p.write(`{"response":[`)
	separator := ""
	return func(item any, _ string) error {
		data, err := json.Marshal(item)
		if err != nil {
			return err
		}
		p.write(separator + string(data))
		separator = ","
		return p.broken
	}
}

func (p *Printer) write(text string) {
	if p.broken == nil {
		_, p.broken = io.WriteString(p.Out, text)
	}
}

// failure is the error of a document.
type failure struct {
	Code    errno.Code `json:"code"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
}

// Done ends the answer with the result of the command, and returns its exit status.
func (p *Printer) Done(err error) int {
	if p.JSON {
		p.document(err)
	} else if err != nil {
		p.sentence(err)
	}
	if err == nil && p.broken != nil {
		err = p.broken
		p.sentence(err)
	}
	return Exit(err)
}

func (p *Printer) document(err error) {
	var f *failure
	code := errno.CodeOf(err)
	if err != nil {
		f = &failure{code, code.Name(), Message(err)}
	}
	tail, _ := json.Marshal(struct {
		Error  *failure   `json:"error"`
		Status errno.Code `json:"status"`
	}{f, code})
	if p.stream {
		p.write("]," + string(tail[1:]) + "\n")
		return
	}
	if p.response == nil {
		p.response = []byte("null")
	}
	p.write(`{"response":` + string(p.response) + "," + string(tail[1:]) + "\n")
}

func (p *Printer) sentence(err error) {
	text := Message(err)
	if code := errno.CodeOf(err); code != errno.Inval && code != errno.Misc { // what is wrong on a command line needs no name
		text += " (" + code.Name() + ")"
	}
	fmt.Fprintf(p.Err, "tarn: %s\n", text)
	if h := hint(err); h != "" {
		fmt.Fprintf(p.Err, "hint: %s\n", h)
	}
}

// Message is the error as a sentence: what it is about, and what was found.
func Message(err error) string {
	var e *errno.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	if strings.Contains(e.Sentence(), e.Ref) { // also when it is ""
		return e.Sentence()
	}
	return e.Ref + ": " + e.Sentence()
}
