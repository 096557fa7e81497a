package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Checksum says how a store verifies what it gets.
type Checksum string

// The values of Config.Checksum.
const (
	// ChecksumAuto is ChecksumCRC32 on Amazon S3, ChecksumMD5 elsewhere.
	ChecksumAuto Checksum = ""
	// ChecksumCRC32 sends x-amz-checksum-crc32, which Amazon keeps with the
	// object. Other stores refuse it, or store it as part of the content.
	ChecksumCRC32 Checksum = "crc32"
	// ChecksumMD5 sends Content-MD5 (RFC 1864), which every store verifies.
	ChecksumMD5 Checksum = "md5"
)

// Config says how to reach a bucket on an S3-compatible store and how to
// store objects in it.
type Config struct {
	// Bucket is its name.
	Bucket string
	// Endpoint is the store's URL, for example "https://s3.example.com" or
	// "http://127.0.0.1:9000". Empty: as the AWS SDK finds it
	// (AWS_ENDPOINT_URL_S3), else Amazon S3 in Region.
	Endpoint string
	// Region, for example "eu-central-1". Empty: as the AWS SDK finds it
	// (AWS_REGION, ~/.aws/config), else "us-east-1" if there is an endpoint.
	Region string
	// PathStyle puts the bucket's name into the path of URLs instead of the
	// host name. Nil: yes for an endpoint that is not Amazon's.
	PathStyle *bool

	// AccessKey and SecretKey are the credentials; SessionToken belongs to
	// temporary ones. All empty: as the AWS SDK finds them (environment,
	// ~/.aws, container and instance roles).
	AccessKey, SecretKey, SessionToken string

	// Encryption on the store's side: "AES256" (SSE-S3), "aws:kms" or
	// "aws:kms:dsse". Empty: as the bucket is set up.
	Encryption string
	// KMSKeyID is the key for "aws:kms". Empty: the account's default.
	KMSKeyID string
	// StorageClass of all objects, for example "STANDARD_IA". Empty: the
	// store's default.
	StorageClass string
	// PublicACL is the canned ACL of objects put with PutOptions.Public, for
	// example "public-read". Empty: none; most buckets take no ACLs and are
	// opened by a policy.
	PublicACL string
	// Checksum says how the store verifies content. Default: ChecksumAuto.
	Checksum Checksum

	// skew is added to the time of signatures, for tests.
	skew time.Duration
	// patience is how long a transfer may stand still; 0: stallTime. For tests.
	patience time.Duration
	// copyLimit is the size above which objects are copied in parts of copyPart;
	// 0: maxCopy, copyPartSize. For tests.
	copyLimit, copyPart int64
	// pageSize of listings; nil: the store's. For tests.
	pageSize *int32
}

// String tells what is configured, without the secrets.
func (c Config) String() string {
	return fmt.Sprintf("{Bucket:%s Endpoint:%s Region:%s}", c.Bucket, c.Endpoint, c.Region)
}

// LogValue implements slog.LogValuer like String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// store keeps objects in a bucket; see Open.
type store struct {
	cfg    Config
	log    *slog.Logger
	client *s3.Client
	http   *httpClient
	// patient waits longer for an answer: a store may put the parts of a
	// large upload together before it says a word.
	patient *httpClient
	// where is the endpoint, for people.
	where string
	// uploads holds the IDs of the multipart uploads of this process that are
	// under way, so that AbortUploads leaves them alone.
	uploads sync.Map
	unnamed sync.Once // the log line about keys that cannot be named
}

// Open returns a store in an S3 bucket. It looks at the configuration and at
// the files and environment of the AWS SDK, and does no network I/O. Keys
// given to the store are whole keys. Close it when done.
//
// The SDK's own retries are off: the caller knows better what a lost answer
// means. Content is verified by the store with the checksum that Config
// names, and its MD5 is kept in the metadata x-amz-meta-md5, since an ETag is
// none for objects of several parts or encrypted ones. The time of the file
// goes into x-amz-meta-mtime.
func Open(cfg Config, log *slog.Logger) (bucket.Store, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("opening the bucket %q: %w", cfg.Bucket, err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	shared, err := loadShared(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: reading the AWS configuration: %w", cfg.Bucket, err)
	}
	s := &store{cfg: cfg, log: log}
	s.cfg.patience = cmp.Or(s.cfg.patience, stallTime)
	s.cfg.copyLimit, s.cfg.copyPart = cmp.Or(s.cfg.copyLimit, maxCopy), cmp.Or(s.cfg.copyPart, copyPartSize)
	s.http = newHTTPClient(rootCAs(shared), s.cfg.patience)
	s.patient = newHTTPClient(rootCAs(shared), max(s.cfg.patience, assemblyTime))
	s.client = s3.NewFromConfig(shared, s.configure)
	if err := s.settle(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("opening the bucket %s: %w", cfg.Bucket, err)
	}
	return s, nil
}

func (c *Config) check() error {
	switch {
	case !bucket.IsBucketName(c.Bucket):
		return errors.New("this is no bucket's name")
	case (c.AccessKey == "") != (c.SecretKey == ""):
		return errors.New("access key and secret key go together: give both or none")
	case c.SessionToken != "" && c.AccessKey == "":
		return errors.New("a session token needs its access key and secret key")
	case c.Checksum != ChecksumAuto && c.Checksum != ChecksumCRC32 && c.Checksum != ChecksumMD5:
		return fmt.Errorf("the checksum %.20q is none of crc32 and md5", c.Checksum)
	case c.KMSKeyID != "" && !strings.HasPrefix(c.Encryption, "aws:kms"):
		return errors.New("a KMS key needs the encryption aws:kms")
	}
	switch c.Encryption {
	case "", "AES256", "aws:kms", "aws:kms:dsse":
	default:
		return fmt.Errorf("the encryption %.20q is none of AES256, aws:kms and aws:kms:dsse", c.Encryption)
	}
	if err := checkEndpoint(c.Endpoint); err != nil {
		return err
	}
	if u, err := url.Parse(c.Endpoint); err == nil && strings.Trim(u.Path, "/") == c.Bucket {
		return fmt.Errorf("the endpoint ends with the bucket's name: write %s://%s", u.Scheme, u.Host)
	}
	return nil
}

// checkEndpoint never repeats the endpoint in an error: it may hold a secret.
func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return errors.New("the endpoint is no URL: write it as https://s3.example.com")
	case u.User != nil:
		return errors.New("credentials do not belong in the endpoint's URL: use the options access_key and secret_key, or the environment")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return errors.New("the endpoint must begin with http:// or https:// and a host")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("the endpoint has ? or # in it")
	}
	return nil
}

// loadShared reads what the AWS SDK reads: environment and ~/.aws.
func loadShared(cfg Config) (aws.Config, error) {
	var options []func(*awsconfig.LoadOptions) error
	if cfg.Region != "" {
		options = append(options, awsconfig.WithRegion(cfg.Region))
	}
	if cfg.AccessKey != "" {
		options = append(options, awsconfig.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, cfg.SessionToken)))
	}
	// Only files are read; nothing in this waits.
	return awsconfig.LoadDefaultConfig(context.Background(), options...)
}

// configure sets the options of the SDK's client.
func (s *store) configure(o *s3.Options) {
	if s.cfg.Endpoint != "" {
		o.BaseEndpoint = aws.String(strings.TrimSuffix(s.cfg.Endpoint, "/"))
	}
	elsewhere := o.BaseEndpoint != nil && !isAmazon(*o.BaseEndpoint)
	if o.Region == "" && o.BaseEndpoint != nil {
		o.Region = "us-east-1"
	}
	o.UsePathStyle = elsewhere
	if s.cfg.PathStyle != nil {
		o.UsePathStyle = *s.cfg.PathStyle
	}
	if s.cfg.Checksum == ChecksumAuto {
		s.cfg.Checksum = ChecksumCRC32
		if elsewhere {
			s.cfg.Checksum = ChecksumMD5
		}
	}
	// Checksums are ours to compute: the SDK would send them as trailers, in
	// a framing that some stores keep as part of the object.
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	if s.cfg.Checksum == ChecksumCRC32 {
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
	}
	o.DisableLogOutputChecksumValidationSkipped = true
	o.Logger = logging.Nop{} // else the SDK writes to standard error
	o.Retryer = aws.NopRetryer{}
	o.HTTPClient = s.http
	o.Credentials = markedCredentials{o.Credentials}
	o.APIOptions = append(o.APIOptions, unsignedAcceptEncoding)
	if s.cfg.skew != 0 {
		o.HTTPSignerV4 = skewedSigner{skew: s.cfg.skew}
	}
}

// settle checks and notes what the configuration came to.
func (s *store) settle() error {
	o := s.client.Options()
	if o.Region == "" {
		return errors.New("no region: give the option region, or set AWS_REGION")
	}
	if o.BaseEndpoint == nil {
		s.where = "Amazon S3 in " + o.Region
		return nil
	}
	s.where = *o.BaseEndpoint
	return checkEndpoint(s.where)
}

func isAmazon(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	for _, domain := range []string{"amazonaws.com", "amazonaws.com.cn", "api.aws"} {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

// unsignedAcceptEncoding keeps the header Accept-Encoding out of the request:
// the SDK signs it, and the proxies of some stores (Google's) change it.
func unsignedAcceptEncoding(stack *middleware.Stack) error {
	// An error says that the operation does not set it.
	_, _ = stack.Finalize.Remove("DisableAcceptEncodingGzip")
	return nil
}

// markedCredentials marks the failure to find credentials, which the SDK
// reports as one of the request.
type markedCredentials struct{ aws.CredentialsProvider }

func (c markedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c.CredentialsProvider == nil {
		return aws.Credentials{}, &credentialsError{cause: errors.New("no provider")}
	}
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = &credentialsError{cause: err}
	}
	return found, err
}

// credentialsError: there are no credentials to sign a request with.
type credentialsError struct{ cause error }

func (e *credentialsError) Error() string {
	return fmt.Sprintf("%v: no credentials found: give access_key and secret_key, or what the AWS SDK reads (environment, ~/.aws, an instance role): %v", bucket.ErrDenied, e.cause)
}

func (e *credentialsError) Unwrap() []error { return []error{bucket.ErrDenied, e.cause} }

// String implements Store.
func (s *store) String() string { return "s3://" + s.cfg.Bucket + " at " + s.where }

// Admit implements Store: a name leads to one bucket.
func (s *store) Admit(bucket.Admission) {}

// Check implements Store: only a request can tell.
func (s *store) Check(context.Context) error { return nil }

// Close implements Store.
func (s *store) Close() error {
	s.http.transport.CloseIdleConnections()
	s.patient.transport.CloseIdleConnections()
	return nil
}

// Probe implements Store.
func (s *store) Probe(ctx context.Context, prefix string, closed ...string) (bucket.Capabilities, error) {
	caps, err := bucket.Probe(ctx, s, prefix)
	if err != nil {
		return caps, err
	}
	caps.Warnings, err = s.anonymousWarnings(ctx, prefix, closed)
	if err != nil {
		return bucket.Capabilities{}, fmt.Errorf("probing %s: %w", s, err)
	}
	return caps, nil
}
