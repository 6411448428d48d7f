package settings

import (
	"maps"
	"sync/atomic"

	"imagemill/pkg/discovery"
)

// Value is one live setting. Make it with Use.
type Value[T any] struct {
	def        Definition[T]
	configured T
	changed    []func(T)
	current    atomic.Pointer[T]
	slot       slot[T] // the set's lock guards it
}

// Use registers a setting with the value it has where nobody shares another.
// changed is called with each value that comes later, in order, from the
// goroutine that applies documents: the next change waits for it. Register before
// Run. With a nil set the configured value stays for ever.
func Use[T any](s *Set, def Definition[T], configured T, changed ...func(T)) *Value[T] {
	v := &Value[T]{def: def, configured: configured, changed: changed, slot: slot[T]{name: def.Name}}
	v.current.Store(&configured)
	s.add(v)
	return v
}

// Get gives the value in effect.
func (v *Value[T]) Get() T { return *v.current.Load() }

func (v *Value[T]) take(doc discovery.Document) []outcome {
	o := v.slot.take(v.def, doc)
	now := v.configured
	if v.slot.set {
		now = v.slot.value
	}
	if o.what == isSet || o.what == isUnset {
		v.current.Store(&now)
	}
	return []outcome{o}
}

func (v *Value[T]) tell() {
	for _, f := range v.changed {
		f(v.Get())
	}
}

func (v *Value[T]) covers(name string) bool { return name == v.def.Name }

func (v *Value[T]) show(all map[string]Shown) { all[v.def.Name] = v.slot.shown(v.def, &v.configured) }

// Family is all live settings of one kind, by what they are called in it: the
// setting "presets/small" is "small" in the family "presets/*". Make it with
// UseFamily.
type Family[T any] struct {
	def        Definition[T]
	configured map[string]T
	changed    []func(map[string]T)
	current    atomic.Pointer[map[string]T]
	slots      map[string]*slot[T] // the set's lock guards it
}

// UseFamily registers a family with the members that are there without anybody's
// setting; a shared one of the same name wins. It is like Use otherwise.
func UseFamily[T any](s *Set, def Definition[T], configured map[string]T, changed ...func(map[string]T)) *Family[T] {
	f := &Family[T]{def: def, configured: maps.Clone(configured), changed: changed, slots: map[string]*slot[T]{}}
	f.store()
	s.add(f)
	return f
}

// Get gives all members in effect. The map is not to be changed.
func (f *Family[T]) Get() map[string]T { return *f.current.Load() }

func (f *Family[T]) take(doc discovery.Document) []outcome {
	for name := range doc {
		if _, mine := member(f.def.Name, name); mine && f.slots[name] == nil {
			f.slots[name] = &slot[T]{name: name}
		}
	}
	var out []outcome
	for name, s := range f.slots {
		out = append(out, s.take(f.def, doc))
		if _, there := doc[name]; !there {
			delete(f.slots, name)
		}
	}
	if anyChanged(out) {
		f.store()
	}
	return out
}

// store makes the map that readers get.
func (f *Family[T]) store() {
	all := maps.Clone(f.configured)
	if all == nil {
		all = map[string]T{}
	}
	for _, s := range f.slots {
		if of, ok := member(f.def.Name, s.name); ok && s.set {
			all[of] = s.value
		}
	}
	f.current.Store(&all)
}

func (f *Family[T]) tell() {
	for _, c := range f.changed {
		c(f.Get())
	}
}

func (f *Family[T]) covers(name string) bool {
	_, ok := member(f.def.Name, name)
	return ok
}

func (f *Family[T]) show(all map[string]Shown) {
	prefix := f.def.Name[:len(f.def.Name)-1]
	for of, value := range f.configured {
		all[prefix+of] = (&slot[T]{}).shown(f.def, &value)
	}
	for name, s := range f.slots {
		var configured *T
		if of, _ := member(f.def.Name, name); of != "" {
			if value, ok := f.configured[of]; ok {
				configured = &value
			}
		}
		all[name] = s.shown(f.def, configured)
	}
}
