// Package client is the Go client of imagemill's public API: upload a picture,
// wait for it, download the result.
//
//	c, err := client.New(client.Config{URL: "http://127.0.0.1:8080"})
//	id, err := c.Upload(ctx, file, -1, client.Options{Preset: "thumbnail"})
//	st, err := c.Wait(ctx, id)
//	_, err = c.Download(ctx, id, "", out)
//
// It promises that a download that returns no error is complete and has the
// digest that the server announced; that whatever the server refuses comes back
// as an [*Error] with the server's own words; and that it repeats a call only
// where a repeat is safe, as an upload's is by the key that it carries. It starts no goroutines of its own and holds no picture in memory.
//
// It does not look into pictures and does not know their operations: a pipeline
// is any JSON document, and the server says what is wrong with it. Package
// imagemill/pkg/pipeline builds and checks such documents.
package client
