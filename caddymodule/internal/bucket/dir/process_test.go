package dir_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

// The test binary runs itself as another process that uses the same directory:
// childEnv says what it does, childDirEnv where.
const (
	childEnv    = "BUCKET_TEST_CHILD"
	childDirEnv = "BUCKET_TEST_DIR"
)

const (
	rounds   = 30
	inFlight = 8
)

// child is such a process.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func startChild(t *testing.T, role, dir string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+role, childDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	t.Cleanup(c.kill)
	return c
}

// kill ends the process as kill -9 does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func runChild(role string) {
	store, err := dir.Open(os.Getenv(childDirEnv), slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	switch role {
	case "race":
		childRace(store)
	case "write":
		childWrite(store)
	default:
		panic(role)
	}
}

// childRace creates and swaps one key per line it reads, with several writers,
// and answers with how many of each won.
func childRace(store bucket.Store) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		created, swapped, err := raceRound(store, lines.Text(), "child")
		fmt.Println(created, swapped, err)
	}
}

func raceRound(store bucket.Store, round, who string) (created, swapped int, err error) {
	key := "r/" + round
	won := make(chan int, inFlight)
	failed := make(chan error, 2*inFlight)
	race := func(opts bucket.PutOptions, lost error) int {
		for i := range inFlight {
			go func() {
				body := fmt.Sprintf("%s %d %s", who, i, opts.IfMatch)
				_, err := buckettest.PutText(context.Background(), store, key, body, opts)
				n := 0
				if err == nil {
					n = 1
				} else if !errors.Is(err, lost) {
					failed <- err
				}
				won <- n
			}()
		}
		total := 0
		for range inFlight {
			total += <-won
		}
		return total
	}
	created = race(bucket.PutOptions{IfNoneMatch: true}, bucket.ErrExists)
	// Both processes swap the version that they know the object to have.
	key = "swap/" + round
	swapped = race(bucket.PutOptions{IfMatch: startETag}, bucket.ErrChanged)
	select {
	case err = <-failed:
	default:
	}
	return created, swapped, err
}

// startETag is the MD5 of "start".
const startETag = "ea2b2676c28c0db26d39331a336c6b92"

// DESIGN 6, and Contract: "IfNoneMatch stores only if no object has this key",
// also between processes.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bucket")
	store := openDirAt(t, dir)
	other := startChild(t, "race", dir)
	for round := range rounds {
		name := strconv.Itoa(round)
		if info, err := buckettest.PutText(t.Context(), store, "swap/"+name, "start", bucket.PutOptions{}); err != nil || info.ETag != startETag {
			t.Fatal(info.ETag, err)
		}
		if _, err := fmt.Fprintln(other.stdin, name); err != nil {
			t.Fatal(err)
		}
		created, swapped, err := raceRound(store, name, "parent")
		if err != nil {
			t.Fatal(err)
		}
		if !other.lines.Scan() {
			t.Fatal("the other process has ended")
		}
		var otherCreated, otherSwapped int
		var otherErr string
		if _, err := fmt.Sscan(other.lines.Text(), &otherCreated, &otherSwapped, &otherErr); err != nil || otherErr != "<nil>" {
			t.Fatalf("the other process says %q", other.lines.Text())
		}
		if created+otherCreated != 1 || swapped+otherSwapped != 1 {
			t.Fatalf("round %d: created %d + %d times, swapped %d + %d times", round, created, otherCreated, swapped, otherSwapped)
		}
	}
}

// childWrite puts and deletes without end, and says what it has finished.
func childWrite(store bucket.Store) {
	for n := uint64(0); ; n++ {
		for i := range 4 {
			key := fmt.Sprintf("d%d/object", i)
			size := int64(1000 + 40_000*i)
			body := buckettest.Pattern{Seed: n, Size: size}
			fmt.Printf("begin %s %d %d\n", key, n, size)
			opts := bucket.PutOptions{Info: bucket.Info{ContentType: "test/" + strconv.FormatUint(n, 10), ModTime: time.Unix(1, 0)}}
			if _, err := store.Put(context.Background(), key, body, size, opts); err != nil {
				panic(err)
			}
			fmt.Printf("end %s %d %d\n", key, n, size)
		}
		key := fmt.Sprintf("d%d/object", n%4)
		fmt.Printf("begin %s delete\n", key)
		if err := store.Delete(context.Background(), key); err != nil {
			panic(err)
		}
		fmt.Printf("end %s delete\n", key)
	}
}

// Promise 2: "Nothing is lost. No failure of the bucket, the network or the
// node (kill -9 at any point) loses a file". A killed writer leaves each
// object as it was, or as it was to be: content, MD5 and content type of one
// version.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bucket")
	store := openDirAt(t, dir)
	may := map[string]map[string]bool{} // key → versions that it may have
	leftovers := 0
	for kill := range 60 {
		writer := startChild(t, "write", dir)
		stop := 5 + rand.IntN(60)
		for range stop {
			if !writer.lines.Scan() {
				t.Fatal("the writer has ended")
			}
			note(may, writer.lines.Text())
		}
		time.Sleep(time.Duration(rand.Int64N(int64(5 * time.Millisecond)))) // a random point, not a wait
		_ = writer.cmd.Process.Kill()
		for writer.lines.Scan() { // what it said before it died
			note(may, writer.lines.Text())
		}
		writer.kill()
		for key, versions := range may {
			checkVersion(t, kill, store, key, versions)
		}
		n, err := store.AbortUploads(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		leftovers += n
		if left, _ := filepath.Glob(filepath.Join(dir, ".tmp", "*")); len(left) != 0 {
			t.Fatalf("kill %d: left in .tmp: %q", kill, left)
		}
	}
	t.Logf("60 kills left %d temporary files, all cleaned up", leftovers)
}

// note adds what the writer may have done by a line of its.
func note(may map[string]map[string]bool, line string) {
	what, rest, _ := strings.Cut(line, " ")
	key, version, _ := strings.Cut(rest, " ")
	switch {
	case what == "begin" && may[key] == nil:
		may[key] = map[string]bool{"delete": true, version: true}
	case what == "begin":
		may[key][version] = true
	default:
		may[key] = map[string]bool{version: true}
	}
}

// checkVersion checks that the object is one of the versions, wholly, and notes
// which.
func checkVersion(t *testing.T, kill int, store bucket.Store, key string, versions map[string]bool) {
	t.Helper()
	found := "delete"
	o, err := store.Get(t.Context(), key, bucket.GetOptions{})
	switch {
	case err == nil:
		defer o.Body.Close()
		n, _ := strconv.ParseUint(strings.TrimPrefix(o.ContentType, "test/"), 10, 64)
		found = fmt.Sprintf("%d %d", n, o.Size)
		content, err := io.ReadAll(o.Body)
		want := buckettest.Pattern{Seed: n, Size: o.Size}
		wantContent, _ := io.ReadAll(want.Reader())
		if err != nil || string(content) != string(wantContent) || o.ContentMD5() != want.MD5() {
			t.Fatalf("kill %d: %s is told to be version %s and has other content, %v", kill, key, found, err)
		}
	case !errors.Is(err, bucket.ErrNotFound):
		t.Fatalf("kill %d: %v", kill, err)
	}
	if !versions[found] {
		t.Fatalf("kill %d: %s is version %q, may be %v", kill, key, found, versions)
	}
	for version := range versions {
		delete(versions, version)
	}
	versions[found] = true
}

func openDirAt(t *testing.T, path string) bucket.Store {
	t.Helper()
	store, err := dir.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}
