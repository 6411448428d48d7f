package storage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
)

func TestLocations(t *testing.T) {
	for text, want := range map[string]string{
		"s3://bucket?region=x":                              "s3://bucket",
		"s3://bucket?prefix=a/b&endpoint=http://h:1":        "s3://bucket/a/b",
		"azblob://container?storage_account=acc":            "azblob://container",
		"gs://bucket/":                                      "gs://bucket",
		"file:///var/lib/pictures":                          "file:///var/lib/pictures",
		"file://localhost/var/lib/pictures":                 "file:///var/lib/pictures",
		"mem://":                                            "mem:",
		"s3://bucket?kmskeyid=arn:aws:kms:x&ssetype=AES256": "s3://bucket",
	} {
		got, err := storage.ParseLocation(text)
		require.NoError(t, err, text)
		require.Contains(t, got.String(), want)
	}
}

// What is refused is told without a word of it, as it may hold a secret.
func TestLocationsThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "bucket", "ftp://host/x", "s3://", "s3://bucket/folder", "s3://AKIA:hunter2@bucket", "s3://bucket?secret_key=hunter2",
		"s3://bucket?aws_secret_access_key=hunter2", "azblob://c?sig=hunter2", "azblob://c?sas_token=hunter2", "gs://b?private_key_path=hunter2",
		"s3://bucket?endpoint=http://me:hunter2@host", "s3://bucket?endpoint=host", "s3://bucket?endpoint=http://h?key=hunter2",
		"s3://bucket?prefix=/a", "s3://bucket?prefix=a/../b", "s3://bucket?prefix=a//b", "s3://bucket?region=a&region=hunter2", "file://host/x",
		"file:///", "file:///x?create_dir=hunter2", "s3://bucket?a=%zzhunter2", "s3://hunter2:\x7f",
	} {
		_, err := storage.ParseLocation(text)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "hunter2", text)
		cfg := storage.DefaultConfig()
		cfg.URL = text
		require.Equal(t, text != "", cfg.Validate() != nil, text)
	}
	cfg := storage.DefaultConfig()
	cfg.URL = "mem://"
	require.ErrorContains(t, cfg.Validate(), "URL: mem:// forgets everything")
	cfg.URL, cfg.Data = "s3://bucket", ""
	require.NoError(t, cfg.Validate(), "no folder is needed then")
}
