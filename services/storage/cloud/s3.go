package cloud

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	gcaws "gocloud.dev/aws"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"

	"imagemill/services/storage"
)

// s3Bucket reads as any bucket does, in fewer calls, and writes by S3's own: the
// driver's transfer manager holds several parts of each blob, however slowly that
// arrives, and aborts with a context that may be over.
type s3Bucket struct {
	*portable
	client *s3.Client
	name   *string
	idle   func()
	sums   bool // the server is told the digest, and compares
	sse    types.ServerSideEncryption
	kms    *string
}

func openS3(ctx context.Context, cfg Config, place storage.Location) (bucket, error) {
	b := &s3Bucket{name: aws.String(place.Bucket), sums: true}
	q, own := url.Values{}, []func(*s3.Options){}
	for name, values := range place.Options {
		set, err := b.option(name, values[0])
		if err != nil {
			return nil, err
		}
		if set == nil {
			q[name] = values
			continue
		}
		own = append(own, set)
	}
	conf, err := gcaws.V2ConfigFromURLParams(ctx, q)
	if err != nil {
		return nil, err
	}
	if conf.Region == "" {
		return nil, errors.New("it needs a region: the parameter region, or AWS_REGION")
	}
	tr := transport(cfg.CallTimeout)
	b.idle = tr.CloseIdleConnections
	conf.HTTPClient = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	conf.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 4, cfg.Pause, ratelimit.None
		})
	}
	conf.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired // digests are compared here
	b.sums = conf.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired
	b.client = s3.NewFromConfig(conf, own...)
	drv, err := s3blob.OpenBucket(ctx, b.client, place.Bucket, nil)
	if err != nil {
		return nil, err
	}
	b.portable = &portable{b: drv}
	return b, nil
}

// option takes the parameters that are S3's alone; nil leaves one to others.
func (b *s3Bucket) option(name, value string) (func(*s3.Options), error) {
	switch name {
	case "ssetype":
		b.sse = types.ServerSideEncryption(value)
		return func(*s3.Options) {}, nil
	case "kmskeyid":
		b.kms = aws.String(value)
		return func(*s3.Options) {}, nil
	case "s3ForcePathStyle", "use_path_style", "disable_https", "accelerate":
	default:
		return nil, nil //nolint:nilnil // as the comment says
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return nil, fmt.Errorf("the parameter %s is true or false", name)
	}
	return func(o *s3.Options) {
		switch name {
		case "accelerate":
			o.UseAccelerate = on
		case "disable_https":
			o.EndpointOptions.DisableHTTPS = on
		default:
			o.UsePathStyle = on
		}
	}, nil
}

// transport bounds what a server that hangs can hold up.
func transport(limit time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: min(limit, 10*time.Second), KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: min(limit, 10*time.Second), ResponseHeaderTimeout: limit, ExpectContinueTimeout: time.Second,
		MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second,
		ForceAttemptHTTP2: true, DisableCompression: true,
	}
}

func (b *s3Bucket) close() error {
	b.idle()
	return b.portable.close()
}

// put is one PutObject. Its body can be read again, so the client repeats it.
func (b *s3Bucket) put(ctx context.Context, name string, data []byte, digest string) (time.Time, error) {
	in := &s3.PutObjectInput{
		Bucket: b.name, Key: &name, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
		ContentType: aws.String(contentType), Metadata: map[string]string{digestKey: digest},
		ServerSideEncryption: b.sse, SSEKMSKeyId: b.kms,
	}
	if sum, err := hex.DecodeString(digest); err == nil && b.sums {
		in.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(sum))
	}
	// What is known need not be computed again to sign it.
	out, err := b.client.PutObject(v4.SetPayloadHash(ctx, digest), in)
	if err != nil {
		return time.Time{}, err
	}
	return serverTime(middleware.GetServerTime(out.ResultMetadata)), nil
}

// serverTime is that of an answer, or this machine's for a server that says none.
func serverTime(t time.Time, ok bool) time.Time {
	if !ok {
		t = time.Now()
	}
	return t.UTC()
}

// multipart is an upload in parts.
type multipart struct {
	b    *s3Bucket
	name string
	id   *string
	done []types.CompletedPart
}

func (b *s3Bucket) begin(ctx context.Context, name string) (upload, error) {
	in := &s3.CreateMultipartUploadInput{
		Bucket: b.name, Key: &name, ContentType: aws.String(contentType), ServerSideEncryption: b.sse, SSEKMSKeyId: b.kms,
	}
	if b.sums {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	out, err := b.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return nil, err
	}
	return &multipart{b: b, name: name, id: out.UploadId}, nil
}

func (u *multipart) part(ctx context.Context, data []byte) error {
	n := aws.Int32(int32(len(u.done) + 1)) //nolint:gosec // 10,000 at most, or S3 refuses
	in := &s3.UploadPartInput{
		Bucket: u.b.name, Key: &u.name, UploadId: u.id, PartNumber: n, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
	}
	if u.b.sums {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	out, err := u.b.client.UploadPart(ctx, in)
	if err != nil {
		return err
	}
	u.done = append(u.done, types.CompletedPart{PartNumber: n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	return nil
}

func (u *multipart) complete(ctx context.Context) (time.Time, error) {
	out, err := u.b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: u.b.name, Key: &u.name, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done},
	})
	if err != nil {
		return time.Time{}, err
	}
	return serverTime(middleware.GetServerTime(out.ResultMetadata)), nil
}

func (u *multipart) abort(ctx context.Context) error { return u.b.abort(ctx, &u.name, u.id) }

// abort ends an upload; one that is no more needs no end.
func (b *s3Bucket) abort(ctx context.Context, name, id *string) error {
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: b.name, Key: name, UploadId: id})
	if code(err) == "NoSuchUpload" {
		return nil
	}
	return err
}

// code is S3's word for an error, "" for none.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// stat is one HEAD; its answer has no body that told what is missing.
func (b *s3Bucket) stat(ctx context.Context, name string) (object, error) {
	a, err := b.b.Attributes(ctx, name)
	if err != nil {
		return object{}, absent(err)
	}
	return object{name: name, size: a.Size, modified: a.ModTime.UTC(), digest: a.Metadata[digestKey], pin: a.ETag}, nil
}

// open is one GET, whose answer describes the object as well.
func (b *s3Bucket) open(ctx context.Context, name string, offset, length int64, pin string) (io.ReadCloser, object, error) {
	opts := &blob.ReaderOptions{BeforeRead: func(as func(any) bool) error {
		var in *s3.GetObjectInput
		if pin != "" && as(&in) {
			in.IfMatch = &pin
		}
		return nil
	}}
	r, err := b.b.NewRangeReader(ctx, name, offset, length, opts)
	switch {
	case code(err) == "NoSuchKey":
		return nil, object{}, fmt.Errorf("%w: %w", errNoBlob, err)
	case gcerrors.Code(err) == gcerrors.FailedPrecondition:
		return nil, object{}, fmt.Errorf("%w: %w", errChanged, err)
	case err != nil:
		return nil, object{}, absent(err)
	}
	var out s3.GetObjectOutput
	if !r.As(&out) {
		return nil, object{}, errors.Join(errors.New("the driver shows no answer"), r.Close())
	}
	return r, object{
		name: name, size: r.Size(), modified: r.ModTime().UTC(), digest: out.Metadata[digestKey], pin: aws.ToString(out.ETag),
	}, nil
}

// remove is one DELETE, for which a missing object is no error.
func (b *s3Bucket) remove(ctx context.Context, name string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b.name, Key: &name})
	if code(err) == "NoSuchKey" {
		return nil
	}
	return err
}

// list begins where it is asked to, and takes the time from the answer.
func (b *s3Bucket) list(ctx context.Context, prefix, after string, n int) ([]object, time.Time, error) {
	var found []object
	for {
		in := &s3.ListObjectsV2Input{Bucket: b.name, Prefix: &prefix, MaxKeys: aws.Int32(int32(n - len(found)))} //nolint:gosec // 1001 at most
		if after != "" {
			in.StartAfter = &after
		}
		out, err := b.client.ListObjectsV2(ctx, in)
		if err != nil {
			return nil, time.Time{}, err
		}
		for _, o := range out.Contents {
			after = aws.ToString(o.Key)
			found = append(found, object{name: after, size: aws.ToInt64(o.Size), modified: aws.ToTime(o.LastModified).UTC()})
		}
		if len(found) >= n || !aws.ToBool(out.IsTruncated) || len(out.Contents) == 0 {
			now, told := middleware.GetServerTime(out.ResultMetadata)
			return found, atLeast(now.UTC(), told, found), nil
		}
	}
}

// atLeast corrects the time of an answer, which may be a second old, by what was
// stored at a later one. Zero stays zero: such a server does not say.
func atLeast(now time.Time, told bool, found []object) time.Time {
	if !told {
		return time.Time{}
	}
	for _, o := range found {
		if o.modified.After(now) {
			now = o.modified
		}
	}
	return now
}

// tidy aborts uploads that nobody will complete.
func (b *s3Bucket) tidy(ctx context.Context, prefix string, then time.Time) (int, error) {
	in, n := &s3.ListMultipartUploadsInput{Bucket: b.name, Prefix: &prefix}, 0
	for {
		out, err := b.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return n, err
		}
		for _, u := range out.Uploads {
			if u.Initiated == nil || u.Initiated.After(then) {
				continue
			}
			if err := b.abort(ctx, u.Key, u.UploadId); err != nil {
				return n, err
			}
			n++
		}
		if !aws.ToBool(out.IsTruncated) {
			return n, nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
}
