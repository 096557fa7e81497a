package env

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// S3Server is an S3 server that keeps its objects in a folder.
type S3Server struct {
	*Process
	// Endpoint is the server's address, "http://127.0.0.1:7070".
	Endpoint             string
	Region               string
	AccessKey, SecretKey string

	client *s3.Client
	again  func() (*Process, error)
	ready  func() error
}

// Versitygw starts a versitygw.
func (e *Env) Versitygw() (*S3Server, error) {
	return e.s3Server("versitygw", "/", func(binary, address, data string) *exec.Cmd {
		// Without --keep-alive it closes the connection after each answer.
		return exec.Command(binary, "--port", address, "--keep-alive", "--quiet", "posix", data)
	}, "ROOT_ACCESS_KEY", "ROOT_SECRET_KEY")
}

// MinIO starts a MinIO.
func (e *Env) MinIO() (*S3Server, error) {
	return e.s3Server("minio", "/minio/health/ready", func(binary, address, data string) *exec.Cmd {
		return exec.Command(binary, "server", "--quiet", "--address", address, data)
	}, "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
}

func (e *Env) s3Server(program, readyPath string, command func(binary, address, data string) *exec.Cmd, userVar, passwordVar string) (*S3Server, error) {
	binary, err := Tool(program)
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	name := e.unique(program)
	data := filepath.Join(e.Dir, name)
	if err := makeFolder(data, nil); err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s := &S3Server{Endpoint: "http://" + address, Region: "us-east-1", AccessKey: "test", SecretKey: "testsecret"}
	s.client = s3.New(s3.Options{
		BaseEndpoint:               aws.String(s.Endpoint),
		Region:                     s.Region,
		UsePathStyle:               true,
		Credentials:                credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:                 &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
	e.OnClose(func() error {
		s.client.Options().HTTPClient.(*http.Client).CloseIdleConnections()
		return nil
	})
	s.ready = answers(s.Endpoint + readyPath)
	s.again = func() (*Process, error) {
		cmd := command(binary, address, data)
		cmd.Env = append(os.Environ(), userVar+"="+s.AccessKey, passwordVar+"="+s.SecretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME="+data)
		return e.start(name, cmd, nil)
	}
	return s, s.Start()
}

// Start starts the server, again after Stop or Kill, on the same address and
// data.
func (s *S3Server) Start() error {
	var err error
	if s.Process, err = s.again(); err != nil {
		return err
	}
	return s.waitReady(s.ready)
}

// NewBucket creates a bucket, unless an earlier run of the server has made it;
// the module is to use prefix in it, which is empty or ends with a slash.
func (s *S3Server) NewBucket(name, prefix string) (*S3Bucket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var exists *types.BucketAlreadyOwnedByYou
	if _, err := s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil && !errors.As(err, &exists) {
		return nil, fmt.Errorf("creating bucket %s: %w", name, err)
	}
	return &S3Bucket{Server: s, Name: name, Prefix: prefix, Endpoint: s.Endpoint}, nil
}

// S3Bucket is a bucket on an S3Server.
type S3Bucket struct {
	Server *S3Server
	Name   string
	// Prefix of the module's objects, empty or ending with a slash.
	Prefix string
	// Endpoint is the one that the module is told. Objects and Read always go
	// to the server itself, so this may be a proxy's that makes faults.
	Endpoint string
}

// Caddyfile is the bucket option of the media_offload directive.
func (b *S3Bucket) Caddyfile() string {
	return block("bucket s3://"+b.Name+"/"+b.Prefix, "endpoint "+b.Endpoint, "region "+b.Server.Region, "path_style",
		"access_key "+b.Server.AccessKey, "secret_key "+b.Server.SecretKey)
}

// Publish lets everyone read the public objects and returns the address that
// they have then, without a slash at the end. Nothing else becomes readable.
func (b *S3Bucket) Publish() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%s/%smedia/*"]}]}`, b.Name, b.Prefix)
	if _, err := b.Server.client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &b.Name, Policy: &policy}); err != nil {
		return "", fmt.Errorf("publishing media of bucket %s: %w", b.Name, err)
	}
	return b.Server.Endpoint + "/" + b.Name + "/" + b.Prefix + "media", nil
}

// AllowOrigin lets the pages of an origin read public objects.
func (b *S3Bucket) AllowOrigin(ctx context.Context, origin string) error {
	rule := types.CORSRule{AllowedOrigins: []string{origin}, AllowedMethods: []string{http.MethodGet, http.MethodHead}}
	_, err := b.Server.client.PutBucketCors(ctx, &s3.PutBucketCorsInput{
		Bucket: &b.Name, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{rule}},
	})
	if err != nil {
		return fmt.Errorf("allowing %s to read bucket %s: %w", origin, b.Name, err)
	}
	return nil
}

// Objects lists all objects below the prefix, which their keys are without.
func (b *S3Bucket) Objects(ctx context.Context) (map[string]string, error) {
	objects := map[string]string{}
	pages := s3.NewListObjectsV2Paginator(b.Server.client, &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: &b.Prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing bucket %s: %w", b.Name, err)
		}
		for _, object := range page.Contents {
			objects[(*object.Key)[len(b.Prefix):]] = fmt.Sprintf("%s %d %s", aws.ToString(object.ETag), aws.ToInt64(object.Size), object.LastModified)
		}
	}
	return objects, nil
}

// Read opens an object.
func (b *S3Bucket) Read(ctx context.Context, key string) (*Object, error) {
	out, err := b.Server.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: aws.String(b.Prefix + key)})
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", key, err)
	}
	return &Object{Body: out.Body, ContentType: aws.ToString(out.ContentType)}, nil
}

// Uploads lists the keys of unfinished multipart uploads.
func (b *S3Bucket) Uploads(ctx context.Context) ([]string, error) {
	out, err := b.Server.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.Name})
	if err != nil {
		return nil, fmt.Errorf("listing the uploads of bucket %s: %w", b.Name, err)
	}
	keys := make([]string, 0, len(out.Uploads))
	for _, upload := range out.Uploads {
		keys = append(keys, aws.ToString(upload.Key))
	}
	return keys, nil
}

// Put stores an object, as another program would.
func (b *S3Bucket) Put(ctx context.Context, key, contentType string, body *os.File) error {
	_, err := b.Server.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.Name, Key: aws.String(b.Prefix + key), Body: body, ContentType: &contentType})
	if err != nil {
		return fmt.Errorf("storing object %s: %w", key, err)
	}
	return nil
}

// Delete removes an object, as another program would.
func (b *S3Bucket) Delete(ctx context.Context, key string) error {
	if _, err := b.Server.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.Name, Key: aws.String(b.Prefix + key)}); err != nil {
		return fmt.Errorf("deleting object %s: %w", key, err)
	}
	return nil
}
