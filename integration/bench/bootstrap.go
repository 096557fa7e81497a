package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// bootstrap has a server with an empty disk join a site with many files.
func (b *bench) bootstrap() error {
	server, err := b.env.Versitygw()
	if err != nil {
		return err
	}
	bucket, err := server.NewBucket("crowd", "site1/")
	if err != nil {
		return err
	}
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		return err
	}
	crowd := &crowd{n: b.options.keys, bucket: "/crowd", prefix: "site1/media/", forward: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
	}}
	if bucket.Endpoint, err = b.env.ServeHandler(crowd); err != nil {
		return err
	}
	user, err := env.WebServer()
	if err != nil {
		return err
	}
	dir, err := b.env.Folder("bootstrap", user)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(mediaPath)), 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	start := time.Now()
	caddy, address, err := b.caddy(b.thisCaddy, fmt.Sprintf("root * %s\nmedia_offload {\n\tapp wordpress %s\n\thealth %s\n\t%s}\nfile_server\n", dir, dir, healthPath, bucket.Caddyfile()))
	if err != nil {
		return err
	}
	for {
		ready, err := b.readyForUploads(address)
		if ready {
			break
		}
		if time.Since(start) > time.Hour || b.ctx.Err() != nil {
			return fmt.Errorf("the server is not ready for uploads after %s: %w", time.Since(start), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(start)
	memory, err := caddy.PeakMemory()
	if err != nil {
		return err
	}
	b.report.heading("a server with an empty disk joins a site of %d files", crowd.n)
	b.report.note("  ready for uploads %s after its start, %d MiB of memory at most until then", took.Round(10*time.Millisecond), memory>>20)
	return caddy.Kill()
}

// crowd is an S3 server that says it has n objects below prefix; all else it
// forwards. It makes them up, so that none takes space.
type crowd struct {
	n              int
	bucket, prefix string
	forward        http.Handler
}

// perFolder is how many of them are in a folder.
const perFolder = 10000

// key is the i-th in order.
func (c *crowd) key(i int) string {
	return fmt.Sprintf("%s%d/%02d/photo-%08d.jpg", c.prefix, 1900+i/perFolder/12, 1+i/perFolder%12, i)
}

// index is where a key is.
func (c *crowd) index(key string) (i int, ok bool) {
	_, number, _ := strings.Cut(key, "photo-")
	i, err := strconv.Atoi(strings.TrimSuffix(number, ".jpg"))
	return i, err == nil && i >= 0 && i < c.n && c.key(i) == key
}

func (c *crowd) content(i int) (content []byte, etag string) {
	content = []byte(strings.Repeat(fmt.Sprintf("photo %d ", i), 100))
	hash := md5.Sum(content)
	return content, hex.EncodeToString(hash[:])
}

var crowdTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ServeHTTP implements http.Handler.
func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, inBucket := strings.CutPrefix(r.URL.Path, c.bucket+"/")
	query := r.URL.Query()
	i, made := c.index(key)
	switch {
	case r.Method == http.MethodGet && query.Has("list-type") && strings.HasPrefix(query.Get("prefix"), c.prefix):
		c.list(w, query)
	case inBucket && made && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		content, etag := c.content(i)
		w.Header().Set("ETag", `"`+etag+`"`)
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Header().Set("Last-Modified", crowdTime.Format(http.TimeFormat))
		if r.Method == http.MethodGet {
			_, _ = w.Write(content) // a client that is gone is no matter
		}
	default:
		c.forward.ServeHTTP(w, r)
	}
}

type crowdPage struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	KeyCount, MaxKeys     int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []crowdObject
}

type crowdObject struct {
	Key, LastModified, ETag string
	Size                    int
	StorageClass            string
}

// list answers ListObjectsV2.
func (c *crowd) list(w http.ResponseWriter, query url.Values) {
	prefix, after := query.Get("prefix"), query.Get("start-after")
	first := sort.Search(c.n, func(i int) bool { return c.key(i) >= prefix && c.key(i) > after })
	if token, err := strconv.Atoi(query.Get("continuation-token")); err == nil {
		first = token
	}
	page := crowdPage{Name: "crowd", Prefix: prefix, MaxKeys: 1000}
	if limit, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		page.MaxKeys = min(limit, page.MaxKeys)
	}
	i := first
	for ; i < c.n && len(page.Contents) < page.MaxKeys && strings.HasPrefix(c.key(i), prefix); i++ {
		content, etag := c.content(i)
		page.Contents = append(page.Contents, crowdObject{Key: c.key(i), LastModified: crowdTime.Format(time.RFC3339), ETag: `"` + etag + `"`, Size: len(content), StorageClass: "STANDARD"})
	}
	page.KeyCount = len(page.Contents)
	if page.IsTruncated = i < c.n && strings.HasPrefix(c.key(i), prefix); page.IsTruncated {
		page.NextContinuationToken = strconv.Itoa(i)
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(page) // a client that is gone is no matter
}
