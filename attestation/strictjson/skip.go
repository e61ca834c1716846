package strictjson

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// skip consumes one value of any type under all rules that need no Go type.
func (d *decoder) skip(depth int) *Error {
	switch c := d.peek(); {
	case c == '{':
		return d.skipObject(depth + 1)
	case c == '[':
		return d.skipArray(depth + 1)
	case c == '"':
		_, err := d.stringBytes()
		return err
	case c == '-', '0' <= c && c <= '9':
		_, err := d.number()
		return err
	}
	if d.literal("true") || d.literal("false") {
		return nil
	}
	return d.invalid()
}

func (d *decoder) skipObject(depth int) *Error {
	if err := d.open('{', "", depth); err != nil {
		return err
	}
	var seen map[string]string // folded name to name
	for first := true; ; first = false {
		b, done, err := d.name(first)
		if done || err != nil {
			return err
		}
		name := string(b)
		folded := fold(name)
		if other, ok := seen[folded]; ok {
			return twice(name, other)
		}
		if seen == nil {
			seen = map[string]string{}
		}
		seen[folded] = name
		if err := d.skipMember(depth); err != nil {
			return err.member(name)
		}
	}
}

func (d *decoder) skipMember(depth int) *Error {
	if err := d.colon(); err != nil {
		return err
	}
	if d.literal("null") {
		return nil
	}
	return d.skip(depth)
}

func twice(name, other string) *Error {
	if name == other {
		return (&Error{Rule: "must not appear twice"}).member(name)
	}
	return (&Error{Rule: "must differ from " + plainName(other) + " in more than case"}).member(name)
}

func (d *decoder) skipArray(depth int) *Error {
	if err := d.open('[', "", depth); err != nil {
		return err
	}
	for i := 0; ; i++ {
		done, err := d.next(i == 0, ']')
		if done || err != nil {
			return err
		}
		if err := d.element(); err != nil {
			return err.element(i)
		}
		if err := d.skip(depth); err != nil {
			return err.element(i)
		}
	}
}

// fold maps names that are equal under Unicode simple case folding to one
// string, by replacing each character with the smallest of its orbit.
func fold(s string) string {
	plain := func(r rune) bool { return r >= utf8.RuneSelf || 'a' <= r && r <= 'z' }
	if strings.IndexFunc(s, plain) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, s)
}
