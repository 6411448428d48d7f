// Package volumetest gives tests a small disk of their own, which they can fill,
// empty and make read-only. It needs the rights to mount one: without them the
// test is skipped with the reason, but where IMAGEMILL_CI=1 and the user is root
// it fails. It leaves nothing mounted.
package volumetest
