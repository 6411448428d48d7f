// Package settings turns the shared settings of a discovery.SettingsStore into
// typed values that change while a program runs.
//
// A [Definition] says what a setting is called and what its text means; a
// [Catalogue] lists all that a suite knows, so that the tool that writes a
// setting refuses what the programs that read it would. A [Set] follows a store:
// [Use] and [UseFamily] register what a program applies, with the value that it
// was configured with, and give handles that are read without a lock.
//
// A set promises: a value that cannot be parsed is refused, said once in the log
// with who wrote it and why, and the last good one stays; what is deleted goes
// back to the configured value; while the store is away everything stays as it
// is. All values of a document are in place before anybody is told of one. A
// writer that flaps costs a program one document in each Config.Interval, the
// newest, however often it writes.
//
// It does not say when a change has reached everybody, and holds no secrets.
package settings
