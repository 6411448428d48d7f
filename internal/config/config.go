// Package config fills a service's Config struct from its defaults, the
// environment and the command line, in rising order of weight.
//
// A field takes part when it has an `env` tag; `help` says what it is for, and
// `secret:"true"` keeps its value out of [Effective]. From the tag LISTEN of the
// section "frontend" come the variable IMAGEMILL_FRONTEND_LISTEN and the flag
// --frontend-listen. A field of struct type without a tag is walked into, so
// that services share groups of settings. Values are parsed by caarlos0/env;
// types with UnmarshalText parse themselves.
package config
