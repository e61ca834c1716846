package strictjson

import (
	"strconv"
	"strings"
)

// maxName bounds how many bytes of a member's name an error repeats. Names of
// unknown members come from the sender, and errors end up in logs.
const maxName = 64

// Error says which member of a document broke which rule. It never holds a
// member's value.
type Error struct {
	// Path leads to the member: parameters.privateKeys[0].curve. It is empty
	// for the document as a whole.
	Path string
	// Rule is what the member had to be: "must be a string".
	Rule string
}

// Error returns the path, a colon and the rule, or only the rule when it is
// about the whole document.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Rule
	}
	return e.Path + ": " + e.Rule
}

// member puts a member's name in front of the path.
func (e *Error) member(name string) *Error {
	e.prepend(plainName(name))
	return e
}

// element puts an array index in front of the path.
func (e *Error) element(index int) *Error {
	e.prepend("[" + strconv.Itoa(index) + "]")
	return e
}

func (e *Error) prepend(part string) {
	if e.Path != "" && e.Path[0] != '[' {
		part += "."
	}
	e.Path = part + e.Path
}

// plainName returns name when it is an ordinary identifier, and otherwise a
// quoted form in which nothing can be mistaken for the rest of the message.
func plainName(name string) string {
	cut := len(name) > maxName
	if cut {
		name = name[:maxName]
	}
	if name != "" && strings.IndexFunc(name, notPlain) < 0 {
		if cut {
			return name + "~"
		}
		return name
	}
	quoted := strconv.QuoteToASCII(name)
	if len(quoted) > maxName+2 { // escapes are up to ten times as long
		cut, quoted = true, quoted[:maxName+1]+`"`
	}
	if cut {
		return quoted + "~"
	}
	return quoted
}

func notPlain(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return r != '_' && r != '-' && r != '@' && r != '$'
}
