package rewrite_test

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/media-offload/caddy-media-offload/rewrite"
)

// inBucket is what a program knows of its files.
var inBucket = map[string]bool{"2026/11/a.jpg": true}

func newRewriter() *rewrite.Rewriter {
	r, err := rewrite.New(rewrite.Config{
		Hosts:    []string{"www.example.com"},
		Prefixes: []string{"/wp-content/uploads/"},
		Resolve: func(dst []byte, m rewrite.Match) ([]byte, bool) {
			if !inBucket[string(m.Path)] {
				return dst, false
			}
			dst = append(dst, "https://cdn.example.net/"...)
			return append(dst, m.Raw...), true
		},
	})
	if err != nil {
		panic(err)
	}
	return r
}

func Example() {
	page := `<p>/wp-content/uploads/2026/11/a.jpg</p>
<img src="/wp-content/uploads/2026/11/a.jpg?v=1" alt="">
<img src="https://www.example.com/wp-content/uploads/not-yet.jpg">
<script>init({"image": "https:\/\/example.com\/wp-content\/uploads\/2026\/11\/a.jpg"})</script>
`
	w := newRewriter().NewWriter(os.Stdout, rewrite.Page{
		ContentType: "text/html; charset=utf-8",
		Scheme:      "https",
		Host:        "example.com",
		Path:        "/hello/",
	})
	if _, err := io.WriteString(w, page); err != nil {
		fmt.Println(err)
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <p>/wp-content/uploads/2026/11/a.jpg</p>
	// <img src="https://cdn.example.net/2026/11/a.jpg?v=1" alt="">
	// <img src="https://www.example.com/wp-content/uploads/not-yet.jpg">
	// <script>init({"image": "https:\/\/cdn.example.net\/2026\/11\/a.jpg"})</script>
}

func ExampleRewriter_HeaderLink() {
	r := newRewriter()
	p := rewrite.Page{Host: "example.com", Path: "/"}
	fmt.Println(r.HeaderLink("</wp-content/uploads/2026/11/a.jpg>; rel=preload; as=image", p))
	// Output: <https://cdn.example.net/2026/11/a.jpg>; rel=preload; as=image
}

func ExampleReverse() {
	r, err := rewrite.NewReverse(rewrite.ReverseConfig{
		Bases: map[string]string{"https://cdn.example.net/": "/wp-content/uploads/"},
	})
	if err != nil {
		panic(err)
	}
	const form = "application/x-www-form-urlencoded"
	body := "content=%3Cimg+src%3D%22https%3A%2F%2Fcdn.example.net%2Fa.jpg%22%3E&id=1"

	// A body in memory: its length changes.
	turned, _ := r.Body([]byte(body), form, "https://example.com")
	fmt.Println(string(turned))

	// A stream whose Content-Length is passed on before it is read.
	out, err := io.ReadAll(r.NewSizedReader(strings.NewReader(body), form, "https://example.com"))
	if err != nil {
		panic(err)
	}
	fmt.Println(len(out) == len(body), string(out))
	// Output:
	// content=%3Cimg+src%3D%22https%3A%2F%2Fexample.com%2Fwp-content%2Fuploads%2Fa.jpg%22%3E&id=1
	// true content=%3Cimg+src%3D%22%2Fwp-content%2Fuploads%2Fa.jpg%22%3E&id=1&&&&&&
}
