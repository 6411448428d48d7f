// Package gossip is a discovery registry without any server: every process that
// uses it is a member of a Serf cluster, and the members tell each other who is
// there. It also keeps the shared settings.
//
// # Instances
//
// A member carries the instances of its process in its Serf tags, packed into at
// most [MaxTags] bytes, which is room for several. One that does not fit is
// refused with [discovery.ErrInvalidInstance]. What is announced, changed or
// withdrawn reaches all members by gossip, within a few of its intervals; a
// member that stops in order says so; one that is killed is found out by probes
// within [Config.TTL] and a second, in clusters of up to fifty members. Where a
// network was parted, each side forgets the other after the same time, goes on by
// itself, and looks for the lost members and for the join addresses until they
// are back.
//
// Nobody has to be first: a member that finds none of its join addresses is a
// cluster of one, and keeps looking.
//
// # Settings
//
// All settings are one document with a version: its generation, which each change
// raises by one, and the name of the member that made it. The higher version
// wins, so all members end with the same document; of two changes that were made
// apart from each other at the same time, one is lost, and the member that made
// it logs which. A change is spread by a Serf event that carries the version
// only; members fetch the document from its origin over HTTP. Since events are
// not certain to arrive, each member also asks two others at random every
// [Config.RepairInterval], and at once when members join.
//
// That HTTP is served on the gossip port itself: the first byte of a stream tells
// it from Serf's own streams. So there is one port and one key for everything, and
// nothing to be mounted anywhere. With a key, the connections are TLS 1.3 both
// ways, with a certificate that is derived from it.
//
// # What is kept
//
// With [Config.Dir], a restarted member remembers its name, the other members
// (Serf's snapshot) and the settings. Without, a member that is the only one
// loses the settings with its end.
//
// The package does not hide from members what others say: whoever has the key
// can announce anything and change every setting.
package gossip
