package gossip

// PartBy has every member ask whether it can reach another, by their addresses.
// It must be called before Run.
func (r *Registry) PartBy(reach func(from, to string) bool) { r.reach = reach }

// Address is where others reach the member, "" while it does not run.
func (r *Registry) Address() string {
	if a, _ := r.current(); a != nil {
		return a.wire.Addr().String()
	}
	return ""
}

// MemberName is the name that the member runs under, "" while it does not run.
func (r *Registry) MemberName() string {
	if a, _ := r.current(); a != nil {
		return a.name
	}
	return ""
}

// Members counts those that are alive in the member's eyes, itself included.
func (r *Registry) Members() int {
	if a, _ := r.current(); a != nil {
		return len(a.others()) + 1
	}
	return 0
}

// Generation is that of the settings as this member has them.
func (r *Registry) Generation() (generation uint64, origin string) {
	doc := r.settings.current()
	return doc.Generation, doc.Origin
}

var (
	ErrBusy = errBusy

	Pack   = pack
	Unpack = unpack
)

// TagKey is the tag that instances are in.
const TagKey = tagKey

// Parse reads a document that came from elsewhere.
func Parse(text []byte) (generation uint64, err error) {
	doc, err := parse(text)
	if err != nil {
		return 0, err
	}
	return doc.Generation, nil
}
