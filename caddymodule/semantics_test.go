package caddymodule

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// promise is a chapter of docs/semantics.md.
type promise struct {
	title, text string
	quotes      int
}

// TestQuotesAreInTheSemantics looks up every quote of a promise, in tests and in code,
// in the documents: a promise whose words change is one whose tests are to be read
// again.
func TestQuotesAreInTheSemantics(t *testing.T) {
	promises := readPromises(t)
	for _, file := range goFiles(t) {
		for _, q := range quotesIn(t, file) {
			p, ok := promises[q.number]
			if !ok {
				t.Errorf("%s quotes promise %d, which docs/semantics.md does not have", file, q.number)
				continue
			}
			if !quoted(p.title+". "+p.text, q.text) {
				t.Errorf("%s quotes promise %d as %q, which docs/semantics.md does not say", file, q.number, q.text)
			}
			if strings.HasSuffix(file, "_test.go") {
				p.quotes++
			}
		}
	}
	readme := oneLine(readFile(t, "../README.md"))
	for n, p := range promises {
		if p.quotes == 0 {
			t.Errorf("no test quotes promise %d (%s)", n, p.title)
		}
		title := strings.ReplaceAll(p.title, "node", "server") // as users call it
		if want := strconv.Itoa(n) + ". **" + title + ".**"; !strings.Contains(readme, want) {
			t.Errorf("README.md does not have %q", want)
		}
	}
}

var chapter = regexp.MustCompile(`(?m)^## (\d)\. (.*)$`)

// readPromises reads the chapters, of which the quoted block is the promise.
func readPromises(t *testing.T) map[int]*promise {
	t.Helper()
	doc := readFile(t, "../docs/semantics.md")
	promises := make(map[int]*promise)
	heads := chapter.FindAllStringSubmatchIndex(doc, -1)
	for i, h := range heads {
		end := len(doc)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		var text strings.Builder
		for line := range strings.Lines(doc[h[1]:end]) {
			if quoted, ok := strings.CutPrefix(line, "> "); ok {
				text.WriteString(quoted)
			}
		}
		n, _ := strconv.Atoi(doc[h[2]:h[3]])
		promises[n] = &promise{title: doc[h[4]:h[5]], text: oneLine(text.String())}
	}
	if len(promises) != 9 {
		t.Fatalf("docs/semantics.md has %d promises, want 9", len(promises))
	}
	return promises
}

// goFiles is all Go files of the project.
func goFiles(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

type quote struct {
	number int
	text   string
}

var (
	quoteOfPromise = regexp.MustCompile(`[Pp]romise (\d):((?:\s*(?:and|,)?\s*"[^"]+"[.,]?)+)`)
	quotedText     = regexp.MustCompile(`"([^"]+)"`)
	commentMark    = regexp.MustCompile(`(?m)^\s*//( |$)`)
)

func quotesIn(t *testing.T, file string) (quotes []quote) {
	t.Helper()
	text := oneLine(commentMark.ReplaceAllString(readFile(t, file), ""))
	for _, m := range quoteOfPromise.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1])
		for _, q := range quotedText.FindAllStringSubmatch(m[2], -1) {
			quotes = append(quotes, quote{n, q[1]})
		}
	}
	return quotes
}

// quoted reports whether text has the parts of a quote, between which "[…]" stands for
// what was left out, in their order.
func quoted(text, quote string) bool {
	for part := range strings.SplitSeq(quote, "[…]") {
		i := strings.Index(text, strings.TrimRight(strings.TrimSpace(part), "."))
		if i < 0 {
			return false
		}
		text = text[i:]
	}
	return true
}

// oneLine is text with single spaces, and without the marks of Markdown's code.
func oneLine(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "`", "")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
