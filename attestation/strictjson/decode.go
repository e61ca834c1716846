package strictjson

import (
	"encoding"
	"encoding/base64"
	"math/bits"
	"reflect"
	"strconv"
	"strings"
)

// decoder reads one document. All of data is valid UTF-8.
type decoder struct {
	data     []byte
	pos      int
	elements int  // array elements seen so far
	nulls    bool // unknown members may be null
	scratch  []byte
}

// value reads one value into target, which is zero. It returns *Error and not
// error, so that each level can put its name in front of the path.
func (d *decoder) value(p *plan, target reflect.Value, depth int) *Error {
	switch p.kind {
	case kindString:
		s, err := d.stringValue()
		if err != nil {
			return err
		}
		target.SetString(s)
	case kindBool:
		return d.boolValue(target)
	case kindInt, kindUint:
		return d.intValue(p, target)
	case kindStruct:
		return d.structValue(p, target, depth+1)
	case kindPointer:
		target.Set(reflect.New(p.elem.typ))
		return d.value(p.elem, target.Elem(), depth)
	case kindSlice:
		return d.sliceValue(p, target, depth+1)
	case kindBytes:
		return d.bytesValue(target)
	case kindText:
		return d.textValue(target)
	case kindRaw:
		return d.rawValue(target, depth)
	}
	return nil
}

func (d *decoder) stringValue() (string, *Error) {
	if d.peek() != '"' {
		return "", d.wrongType("must be a string")
	}
	b, err := d.stringBytes()
	return string(b), err
}

func (d *decoder) boolValue(target reflect.Value) *Error {
	switch {
	case d.literal("true"):
		target.SetBool(true)
	case d.literal("false"):
	default:
		return d.wrongType("must be true or false")
	}
	return nil
}

func (d *decoder) intValue(p *plan, target reflect.Value) *Error {
	n, err := d.number()
	if err != nil {
		return err
	}
	if p.kind == kindInt {
		if target.OverflowInt(n) {
			return &Error{Rule: "must fit " + p.size() + " bits"}
		}
		target.SetInt(n)
		return nil
	}
	if n < 0 {
		return &Error{Rule: "must not be negative"}
	}
	if target.OverflowUint(uint64(n)) {
		return &Error{Rule: "must fit " + p.size() + " bits"}
	}
	target.SetUint(uint64(n))
	return nil
}

func (p *plan) size() string { return strconv.Itoa(p.typ.Bits()) }

func (d *decoder) bytesValue(target reflect.Value) *Error {
	s, err := d.stringValue()
	if err != nil {
		return err
	}
	// The decoder skips line breaks wherever they stand, and Strict does not
	// change that.
	b, bad := base64.StdEncoding.Strict().DecodeString(s)
	if bad != nil || strings.ContainsAny(s, "\r\n") {
		return &Error{Rule: "must be canonical base64"}
	}
	target.SetBytes(b)
	return nil
}

func (d *decoder) textValue(target reflect.Value) *Error {
	s, err := d.stringValue()
	if err != nil {
		return err
	}
	u := target.Addr().Interface().(encoding.TextUnmarshaler)
	if err := u.UnmarshalText([]byte(s)); err != nil {
		return &Error{Rule: err.Error()}
	}
	return nil
}

func (d *decoder) rawValue(target reflect.Value, depth int) *Error {
	start := d.pos
	if err := d.skip(depth); err != nil {
		return err
	}
	target.SetBytes(append(Raw(nil), d.data[start:d.pos]...))
	return nil
}

func (d *decoder) structValue(p *plan, target reflect.Value, depth int) *Error {
	if err := d.open('{', "must be an object", depth); err != nil {
		return err
	}
	var seen uint64 // members that appeared
	var have uint64 // those of them that were not null
	var absent []string
	for first := true; ; first = false {
		name, done, err := d.name(first)
		if err != nil {
			return err
		}
		if done {
			return p.missing(p.need &^ have)
		}
		i, ok := p.byName[string(name)]
		if !ok {
			if err := d.unknown(p, string(name), &absent); err != nil {
				return err
			}
			continue
		}
		f := &p.fields[i]
		if seen&(1<<i) != 0 {
			return (&Error{Rule: "must not appear twice"}).member(f.name)
		}
		seen |= 1 << i
		present, err := d.memberValue(f, target, depth)
		if err != nil {
			return err.member(f.name)
		}
		if present {
			have |= 1 << i
		}
	}
}

// memberValue reads what follows a member's name; null is left out.
func (d *decoder) memberValue(f *field, target reflect.Value, depth int) (present bool, err *Error) {
	if err := d.colon(); err != nil {
		return false, err
	}
	if d.literal("null") {
		return false, nil
	}
	return true, d.value(f.plan, target.FieldByIndex(f.index), depth)
}

// unknown reads past a member that the type does not have: it is refused,
// unless null makes it absent where that is allowed. Absent holds the names
// of those before it.
func (d *decoder) unknown(p *plan, name string, absent *[]string) *Error {
	refusal := p.unknown(name)
	if _, near := p.folded[fold(name)]; near || !d.nulls {
		return refusal
	}
	if err := d.colon(); err != nil {
		return err.member(name)
	}
	if !d.literal("null") {
		return refusal
	}
	for _, other := range *absent {
		if fold(name) == fold(other) {
			return twice(name, other)
		}
	}
	if *absent = append(*absent, name); len(*absent) > maxFields {
		return &Error{Rule: "must not have more than " + strconv.Itoa(maxFields) + " unknown members"}
	}
	return nil
}

func (p *plan) missing(absent uint64) *Error {
	if absent == 0 {
		return nil
	}
	return (&Error{Rule: "is required"}).member(p.fields[bits.TrailingZeros64(absent)].name)
}

func (p *plan) unknown(name string) *Error {
	if i, ok := p.folded[fold(name)]; ok {
		return (&Error{Rule: "must be spelled " + p.fields[i].name}).member(name)
	}
	return (&Error{Rule: "is not a known member"}).member(name)
}

func (d *decoder) sliceValue(p *plan, target reflect.Value, depth int) *Error {
	if err := d.open('[', "must be an array", depth); err != nil {
		return err
	}
	target.Set(reflect.MakeSlice(p.typ, 0, 0))
	for i := 0; ; i++ {
		done, err := d.next(i == 0, ']')
		if err != nil {
			return err
		}
		if done {
			return nil
		}
		if err := d.element(); err != nil {
			return err.element(i)
		}
		target.Grow(1)
		target.SetLen(i + 1)
		target.Index(i).SetZero()
		if err := d.value(p.elem, target.Index(i), depth); err != nil {
			return err.element(i)
		}
	}
}
