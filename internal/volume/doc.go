// Package volume says plainly what is wrong with a data folder: at the start,
// that it cannot be written ([Check]); while running, that its disk is full
// ([Room]). Every message names the setting and the folder, and what to do.
//
// It repairs nothing and never removes what is not its own.
package volume
