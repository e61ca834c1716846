package strictjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

type kind uint8

const (
	kindString kind = iota
	kindBool
	kindInt
	kindUint
	kindStruct
	kindPointer
	kindSlice
	kindBytes
	kindText
	kindRaw
)

// maxFields is the number of members one struct may have: the bits of the set
// that remembers which of them were seen.
const maxFields = 64

// plan is how to decode one Go type. Plans are made once for each type and
// never changed after that.
type plan struct {
	kind   kind
	typ    reflect.Type
	elem   *plan          // of a pointer or slice
	fields []field        // of a struct
	byName map[string]int // member name to index in fields
	folded map[string]int // folded member name to index in fields
	need   uint64         // bit i: fields[i] is required
}

type field struct {
	name  string
	index []int
	plan  *plan
}

var (
	plans sync.Map // reflect.Type to *plan

	rawType  = reflect.TypeFor[Raw]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType = reflect.TypeFor[json.Unmarshaler]()
)

func planFor(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := compile(t, map[reflect.Type]*plan{})
	plans.Store(t, p)
	return p
}

// compile makes the plan of t. The map holds plans under construction, so
// that a type may contain itself.
func compile(t reflect.Type, doing map[reflect.Type]*plan) *plan {
	if p, ok := doing[t]; ok {
		return p
	}
	p := &plan{typ: t}
	doing[t] = p
	ptr := reflect.PointerTo(t)
	switch {
	case t == rawType:
		p.kind = kindRaw
		return p
	case ptr.Implements(jsonType):
		unsupported(t, "it has an UnmarshalJSON method")
	case t.Kind() != reflect.Pointer && ptr.Implements(textType):
		p.kind = kindText
		return p
	}
	p.compileKind(doing)
	return p
}

func (p *plan) compileKind(doing map[reflect.Type]*plan) {
	switch t := p.typ; t.Kind() {
	case reflect.String:
		p.kind = kindString
	case reflect.Bool:
		p.kind = kindBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.kind = kindInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		p.kind = kindUint
	case reflect.Pointer:
		p.kind, p.elem = kindPointer, compile(t.Elem(), doing)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			p.compileBytes()
			return
		}
		p.kind, p.elem = kindSlice, compile(t.Elem(), doing)
	case reflect.Struct:
		p.kind = kindStruct
		p.byName, p.folded = map[string]int{}, map[string]int{}
		p.addFields(t, nil, doing)
	default:
		unsupported(t, "there is no rule for its kind")
	}
}

// compileBytes refuses slices of named byte types, because encoding/json
// reads some of them as arrays of numbers.
func (p *plan) compileBytes() {
	if p.typ.Elem() != reflect.TypeFor[byte]() {
		unsupported(p.typ, "its elements are a named byte type")
	}
	p.kind = kindBytes
}

func (p *plan) addFields(t reflect.Type, at []int, doing map[reflect.Type]*plan) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		index := append(append([]int{}, at...), i)
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "":
			if f.Type.Kind() != reflect.Struct {
				unsupported(t, "it embeds something that is not a struct")
			}
			p.addFields(f.Type, index, doing)
		case !f.IsExported():
		case options != "" && options != "omitempty" && options != "omitzero":
			unsupported(t, "member "+f.Name+" has json option "+options)
		default:
			if name == "" {
				name = f.Name
			}
			p.addField(name, index, f, doing)
		}
	}
}

func (p *plan) addField(name string, index []int, f reflect.StructField, doing map[reflect.Type]*plan) {
	n := len(p.fields)
	if n == maxFields {
		unsupported(p.typ, "it has too many members")
	}
	if _, ok := p.folded[fold(name)]; ok {
		unsupported(p.typ, "two members are called "+name)
	}
	if f.Tag.Get("strict") == "required" {
		p.need |= 1 << n
	}
	p.byName[name], p.folded[fold(name)] = n, n
	p.fields = append(p.fields, field{name, index, compile(f.Type, doing)})
}

func unsupported(t reflect.Type, why string) {
	panic("internal error: strictjson cannot decode " + t.String() + ": " + why)
}
