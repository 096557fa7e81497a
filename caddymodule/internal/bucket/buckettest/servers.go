package buckettest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

const (
	accessKey = "test"
	secretKey = "testsecret"
	// startTime bounds a server's start, also on a busy machine.
	startTime = 60 * time.Second
)

// StartVersityGW starts a versitygw on a loopback address with a directory of
// its own, and returns the configuration of a new bucket on it. The server
// ends with the test.
func StartVersityGW(tb testing.TB) s3.Config {
	tb.Helper()
	binary := serverBinary(tb, "versitygw")
	dir := tb.TempDir() // on a file system with user extended attributes
	return startServer(tb, func(addr string) *exec.Cmd {
		cmd := exec.Command(binary, "--port", addr, "--keep-alive", "--quiet", "posix", dir) //nolint:noctx // ended by the clean-up
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
		return cmd
	})
}

// StartVersityGWForUser is StartVersityGW, and returns besides the configuration of a user
// who may do all in the bucket. deny takes rights away from the user until the next call:
// actions (such as s3:PutObject) for objects whose names begin with below, or for the
// bucket itself.
func StartVersityGWForUser(tb testing.TB) (admin, user s3.Config, deny func(below string, actions ...string)) {
	tb.Helper()
	binary := serverBinary(tb, "versitygw")
	dir, users := tb.TempDir(), tb.TempDir()
	admin = startServer(tb, func(addr string) *exec.Cmd {
		cmd := exec.Command(binary, "--port", addr, "--keep-alive", "--quiet", "--iam-dir", users, "--iam-cache-disable", "posix", dir) //nolint:noctx // ended by the clean-up
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
		return cmd
	})
	user = admin
	user.AccessKey, user.SecretKey = "user", "usersecret"
	create := exec.CommandContext(tb.Context(), binary, "admin", "--access", accessKey, "--secret", secretKey, "--endpoint-url", admin.Endpoint,
		"create-user", "--access", user.AccessKey, "--secret", user.SecretKey, "--role", "user")
	if out, err := create.CombinedOutput(); err != nil {
		tb.Fatalf("creating a user: %v: %s", err, out)
	}
	bucketName := "arn:aws:s3:::" + admin.Bucket
	deny = func(below string, actions ...string) {
		tb.Helper()
		statements := []map[string]any{{
			"Effect": "Allow", "Principal": user.AccessKey, "Action": "s3:*", "Resource": []string{bucketName, bucketName + "/*"},
		}}
		for _, action := range actions {
			on := bucketName + "/" + below + "*"
			if strings.HasPrefix(action, "s3:ListBucket") {
				on = bucketName
			}
			statements = append(statements, map[string]any{"Effect": "Deny", "Principal": user.AccessKey, "Action": action, "Resource": on})
		}
		policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			tb.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(tb.Context(), startTime)
		defer cancel()
		if _, err := Client(admin).PutBucketPolicy(ctx, &sdk.PutBucketPolicyInput{Bucket: &admin.Bucket, Policy: aws.String(string(policy))}); err != nil {
			tb.Fatalf("setting the bucket's policy: %v", err)
		}
	}
	deny("")
	return admin, user, deny
}

// StartMinIO is StartVersityGW with a MinIO server.
func StartMinIO(tb testing.TB) s3.Config {
	tb.Helper()
	binary := serverBinary(tb, "minio")
	dir := tb.TempDir()
	return startServer(tb, func(addr string) *exec.Cmd {
		cmd := exec.Command(binary, "server", "--quiet", "--address", addr, dir) //nolint:noctx // ended by the clean-up
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey, "MINIO_UPDATE=off", "MINIO_BROWSER=off")
		return cmd
	})
}

// NewBucket creates another bucket on the server that cfg names.
func NewBucket(tb testing.TB, cfg s3.Config) s3.Config {
	tb.Helper()
	cfg.Bucket = "b-" + strings.ToLower(rand.Text())
	ctx, cancel := context.WithTimeout(tb.Context(), startTime)
	defer cancel()
	if _, err := Client(cfg).CreateBucket(ctx, &sdk.CreateBucketInput{Bucket: &cfg.Bucket}); err != nil {
		tb.Fatalf("creating a bucket: %v", err)
	}
	return cfg
}

// Client returns a plain client of the SDK, to look at a bucket past the store.
func Client(cfg s3.Config) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String(cfg.Endpoint), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

// serverBinary finds a server in the repository's .cache/bin.
func serverBinary(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
			continue
		}
		path := filepath.Join(dir, ".cache", "bin", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		break
	}
	tb.Fatalf("the server %s for tests is missing: run make tools", name)
	return ""
}

// startServer starts a server on a free port. Another process may take the
// port between the look and the start: then it tries again.
func startServer(tb testing.TB, command func(addr string) *exec.Cmd) s3.Config {
	tb.Helper()
	for range 3 {
		addr := freeAddr(tb)
		if server := launch(tb, command(addr)); server.ready(tb, addr) {
			return NewBucket(tb, s3.Config{
				Endpoint: "http://" + addr, Region: "us-east-1", AccessKey: accessKey, SecretKey: secretKey,
			})
		}
	}
	tb.Fatal("the server did not start")
	return s3.Config{}
}

func freeAddr(tb testing.TB) string {
	tb.Helper()
	var config net.ListenConfig
	l, err := config.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	output syncBuffer
	ended  chan struct{}
}

func launch(tb testing.TB, cmd *exec.Cmd) *process {
	tb.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		tb.Fatalf("starting %s: %v", cmd.Path, err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait()
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		if tb.Failed() {
			tb.Logf("%s said: %s", filepath.Base(cmd.Path), p.output.String())
		}
	})
	return p
}

// ready waits until the server answers; false if it ended.
func (p *process) ready(tb testing.TB, addr string) bool {
	tb.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		resp, err := client.Get("http://" + addr + "/") //nolint:noctx // bounded by the client
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < http.StatusInternalServerError {
				return true // MinIO says 503 for a while
			}
		}
		select {
		case <-p.ended:
			tb.Logf("%s ended: %s", p.cmd.Path, p.output.String())
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// syncBuffer keeps the beginning of what a server says.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := 64<<10 - b.buf.Len(); room > 0 {
		b.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
