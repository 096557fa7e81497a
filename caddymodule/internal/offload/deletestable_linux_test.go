package offload

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
)

// deletion is a row of the table in docs/deletes.md: what is gone, and what becomes
// of the object, of the other servers' disks, and what is in the trash.
type deletion struct{ gone, object, disks, trash string }

const (
	fetchedOrServed = "the files are fetched (`local all`), or served from the bucket (`local own`)"
	dash            = "–"
	byAnother       = "a file, by another server"
)

// deletions are the rows, each with what shows it.
var deletions = []struct {
	deletion
	test func(t *testing.T, d *deleting)
}{
	{deletion{"one file, by a request that may write (a click on \"Delete permanently\")", "deleted before the answer goes out", "removed within about a second", dash}, testFileByRequest},
	{deletion{"a directory, by such a request", "the same, for all below it that was on this disk", "the same", dash}, testDirectoryByRequest},
	{deletion{"more than 5 % of the objects (and more than 10) within a minute, by such requests", "deleted before the answer goes out", "removed within about a second", "a copy for 30 days"}, testManyByRequests},
	{deletion{"a file or directory, by the command line, cron, FTP, or a GET that the preset does not list", "deleted after two seconds", "removed within about a second after that", "a copy for 30 days"}, testOutsideRequests},
	{deletion{"a file or directory that has another name in a media root now, whoever renamed it and whatever is in it", "deleted once that of the new name is there", "removed within about a second", dash}, testRenamed},
	{deletion{"more than 5 % of the objects (and more than 10) within a minute, outside requests", "kept", "kept", dash + " ; you are asked"}, testManyOutsideRequests},
	{deletion{"all of it, as a new or wiped disk is", "kept", "kept", fetchedOrServed}, testWiped},
	{deletion{"the media root itself: unmounted, moved away, a symlink that points elsewhere", "kept", "kept", dash}, testRootGone},
	{deletion{"anything, while the module was not running", "kept", "kept", fetchedOrServed}, testWhileStopped},
	{deletion{byAnother, "deleted by that one", "removed, unless it was changed here", "as above"}, testByAnother},
}

// TestDeletesAreThoseOfTheDocs: the table in docs/deletes.md says what the code does.
//
// Promise 8: "What a process deletes while the module watches is deleted: by a
// request at once, otherwise by way of the trash, from which it can be taken back;
// much at once outside requests waits for the admin's word. A deleted file does not
// come back by itself. What is missing after a time without the module is fetched,
// not deleted".
func TestDeletesAreThoseOfTheDocs(t *testing.T) {
	t.Parallel()
	rows := tableOfDeletes(t)
	var tested []deletion
	for _, d := range deletions {
		tested = append(tested, d.deletion)
		if !slices.Contains(rows, d.deletion) {
			t.Errorf("tested, and not in docs/deletes.md: %+v", d.deletion)
		}
	}
	for _, row := range rows {
		if !slices.Contains(tested, row) {
			t.Errorf("in docs/deletes.md, and not tested: %+v", row)
		}
	}
	for _, d := range deletions {
		for _, local := range []LocalPolicy{LocalAll, LocalOwn} {
			if local == LocalOwn && d.gone == byAnother {
				continue // there is no other
			}
			t.Run(fmt.Sprintf("%.40s/%s", d.gone, local), func(t *testing.T) {
				t.Parallel()
				d.test(t, newDeleting(t, local))
			})
		}
	}
}

func tableOfDeletes(t *testing.T) (rows []deletion) {
	text, err := os.ReadFile("../../../docs/deletes.md")
	mustDo(t, err)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) != 4 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, deletion{cells[0], cells[1], cells[2], cells[3]})
	}
	if len(rows) < 3 || rows[0].gone != "what is gone from the disk" || !strings.HasPrefix(rows[1].gone, "---") {
		t.Fatalf("docs/deletes.md has no table of deletes: %+v", rows)
	}
	return rows[2:]
}

// deleting is a site with files, on two servers if they share a bucket.
type deleting struct {
	*site
	others nodes
	all    nodes
	keys   []string
	files  map[string]string
}

const (
	fileCount = 40 // 5 % of them are fewer than deletes.Few
	inDir     = 4
)

func newDeleting(t *testing.T, local LocalPolicy) *deleting {
	ns := newNodes(t, map[LocalPolicy]int{LocalAll: 2, LocalOwn: 1}[local], func(c *Config) { c.Local = local })
	d := &deleting{site: ns.ready()[0], others: ns[1:], all: ns}
	for i := range fileCount {
		d.keys = append(d.keys, fmt.Sprintf("2026/%d/photo-%d.jpg", 1+i/inDir, i))
	}
	d.mustUpload(func() { d.writeAll(d.keys) })
	ns.agree()
	d.files = d.disk()
	return d
}

// areGone checks that nothing but the keys has gone, on no disk and in the bucket.
func (d *deleting) areGone(keys ...string) {
	d.t.Helper()
	d.gone(d.others, keys...)
	for _, key := range keys {
		delete(d.files, key)
	}
	d.idle()
	d.all.agree()
	compare(d.t, d.files, d.objects())
}

// areKept checks that all objects, and the other disks, are as they were.
func (d *deleting) areKept() {
	d.t.Helper()
	compare(d.t, d.files, d.objects())
	for _, s := range d.others {
		compare(d.t, d.files, s.disk())
	}
}

// trashed checks what is in the trash.
func (d *deleting) trashed(keys ...string) {
	d.t.Helper()
	var want []string
	for _, key := range keys {
		want = append(want, as(key, trash.Outside))
	}
	if got := d.inTrash(); !slices.Equal(got, want) {
		d.t.Errorf("the trash has %q, want %q", got, want)
	}
}

// areBack checks that what is missing was fetched, or is served from the bucket.
func (d *deleting) areBack() {
	d.t.Helper()
	if d.cfg.Local == LocalAll {
		d.until("all files to be fetched", func() bool { return maps.Equal(d.disk(), d.files) })
	}
	for key, content := range d.files {
		d.until("pages to name "+key, func() bool { _, _, ok := d.e.Public([]byte(key)); return ok })
		o, err := d.e.Open(d.t.Context(), key, bucket.GetOptions{})
		if err != nil {
			d.t.Errorf("serving it from the bucket: %v", err)
			continue
		}
		_ = o.Body.Close()
		if o.ETag != fullHash(content) {
			d.t.Errorf("%s is served as %s", key, o.ETag)
		}
	}
}

// command does something on disk as a program that knows of nothing, in a root.
func (d *deleting) command(script string) {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), "sh", "-ec", script)
	cmd.Dir = d.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v: %s", script, err, out)
	}
}

func testFileByRequest(_ *testing.T, d *deleting) {
	d.mustUpload(func() { d.remove(d.keys[0]) })
	if got := d.readObject(d.keys[0]); got != "" {
		d.t.Errorf("after the answer the object is %q", got)
	}
	d.areGone(d.keys[0])
	d.trashed()
}

func testDirectoryByRequest(_ *testing.T, d *deleting) {
	d.mustUpload(func() { d.remove("2026/1") })
	for _, key := range d.keys[:inDir] {
		if got := d.readObject(key); got != "" {
			d.t.Errorf("after the answer the object of %s is %q", key, got)
		}
	}
	d.areGone(d.keys[:inDir]...)
	d.trashed()
}

// Nothing tells such deletes from those of somebody at the shell, while any request
// runs.
func testManyByRequests(t *testing.T, d *deleting) {
	const many = 5 * inDir
	d.mustUpload(func() {
		for i := range many / inDir {
			d.remove(fmt.Sprintf("2026/%d", 1+i))
		}
	})
	for _, key := range d.keys[:many] {
		if got := d.readObject(key); got != "" {
			t.Errorf("after the answer the object of %s is %q", key, got)
		}
	}
	d.areGone(d.keys[:many]...)
	copies := d.inTrash() // those that went before it was known how many they are have none
	if len(copies) < many-deletes.Few || !strings.HasSuffix(copies[0], as("", trash.Requests)) {
		t.Errorf("the trash has %q", copies)
	}
}

func testOutsideRequests(t *testing.T, d *deleting) {
	small := []string{"small/a.jpg", "small/b.jpg"}
	d.mustUpload(func() { d.writeAll(small) })
	d.all.agree()
	for _, key := range small {
		d.files[key] = "content of " + key
	}
	for i, way := range []func(){
		func() { d.command("rm 2026/1/photo-0.jpg") },
		func() { d.command("find . -name photo-1.jpg -delete &") }, // as cron does
		func() { d.remove(d.keys[2]) },                             // by a GET that nobody lists, or FTP
	} {
		began := time.Now()
		way()
		d.until("the object to be deleted", func() bool { return d.readObject(d.keys[i]) == "" })
		if took := time.Since(began); took < unattendedRest {
			t.Errorf("deleted after %v", took)
		}
	}
	d.areGone(d.keys[:3]...)
	d.trashed(d.keys[:3]...)
	for item, err := range d.e.trash.List(t.Context()) {
		if err != nil || time.Since(item.Deleted) > time.Hour || d.e.cfg.Trash != 30*24*time.Hour {
			t.Errorf("%+v for %v, %v", item, d.e.cfg.Trash, err)
		}
	}
	mustDo(t, d.takeBack(d.keys[1]))
	for _, s := range d.all {
		s.until("what was taken back", func() bool { return s.read(d.keys[1]) == "content of "+d.keys[1] })
	}
	d.files[d.keys[1]] = "content of " + d.keys[1]
	d.command("rm -r small") // a directory
	d.areGone(small...)
	d.trashed(append([]string{d.keys[0], d.keys[2]}, small...)...)
}

func testRenamed(t *testing.T, d *deleting) {
	var mu sync.Mutex
	var early []string
	d.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if key, ok := strings.CutPrefix(c.Key, "media/"); ok && c.Op == buckettest.OpDelete && !isTrial(c.Keys) {
			mu.Lock()
			defer mu.Unlock()
			if moved := d.newName(key); d.readObject(moved) == "" {
				early = append(early, key)
			}
		}
		return buckettest.Fault{}
	})
	d.mustUpload(func() { mustDo(t, os.MkdirAll(d.path("moved/2026/1"), 0o755)) })
	d.mustUpload(func() { d.rename(d.keys[0], d.newName(d.keys[0])) })
	d.command("mv 2026/1/photo-1.jpg moved/2026/1/")
	d.until("the old object to go", func() bool { return d.readObject(d.keys[1]) == "" })
	d.mustUpload(func() { d.rename("2026/2", "moved/2026/2") })
	d.command("mv 2026/3 2026/4 2026/5 moved/2026/") // more than may be deleted outside requests
	moved := append(slices.Clone(d.keys[:2]), d.keys[inDir:5*inDir]...)
	for _, key := range moved {
		d.files[d.newName(key)] = d.files[key]
	}
	d.areGone(moved...)
	d.trashed()
	mu.Lock()
	defer mu.Unlock()
	if len(early) > 0 {
		t.Errorf("deleted before the objects of their new names were there: %q", early)
	}
}

func (d *deleting) newName(key string) string { return "moved/" + key }

func testManyOutsideRequests(t *testing.T, d *deleting) {
	d.command(fmt.Sprintf("mv 2026 %q", t.TempDir())) // all at one moment, be the machine ever so busy
	d.until("the deletes to be withheld", func() bool { return d.e.Stats().Withheld == fileCount })
	d.idle()
	d.areKept()
	d.trashed()
	d.until("the admin to be asked", func() bool { return d.logs.count("trash accept") == 1 })
	if got := len(d.disk()); got != 0 {
		t.Errorf("%d files are on disk: they came back", got)
	}
}

func testWiped(t *testing.T, d *deleting) {
	d.stop()
	mustDo(t, os.RemoveAll(d.dir))
	mustDo(t, os.Mkdir(d.dir, 0o755))
	d.ready()
	d.areBack()
	d.areKept()
	d.trashed()
}

func testRootGone(t *testing.T, d *deleting) {
	ways := map[string]func() (back func()){
		"moved away": func() func() {
			mustDo(t, os.Rename(d.dir, d.dir+".old"))
			return func() { mustDo(t, os.Rename(d.dir+".old", d.dir)) }
		},
		"a symlink that points elsewhere": func() func() {
			mustDo(t, os.Rename(d.dir, d.dir+".old"))
			mustDo(t, os.Mkdir(d.dir+".new", 0o755))
			mustDo(t, os.Symlink(d.dir+".new", d.dir))
			return func() {
				mustDo(t, os.Remove(d.dir))
				mustDo(t, os.Rename(d.dir+".old", d.dir))
			}
		},
		"something mounted over it, and unmounted": func() func() {
			if exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "tmpfs", d.dir).Run() != nil {
				t.Log("this machine lets nothing be mounted")
				return func() {}
			}
			unmount := sync.OnceFunc(func() { _ = exec.Command("umount", "-l", d.dir).Run() })
			t.Cleanup(unmount)
			return unmount
		},
	}
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		back := ways[way]()
		d.idle() // each delete that was seen has had its rest
		d.areKept()
		back()
		t.Log(way)
	}
	d.stop()
	d.ready()
	d.areKept()
	d.trashed()
	compare(t, d.files, d.disk())
}

func testWhileStopped(_ *testing.T, d *deleting) {
	d.stop()
	d.command("rm -r 2026/2 2026/3 2026/1/photo-0.jpg")
	d.ready()
	d.areBack()
	d.areKept()
	d.trashed()
}

func testByAnother(t *testing.T, d *deleting) {
	other := d.others[0]
	other.mustUpload(func() { other.remove(d.keys[0]) })
	other.remove(d.keys[1])
	d.areGone(d.keys[:2]...)
	d.trashed(d.keys[1])

	// It was changed here, and that could not be stored yet.
	changed := d.keys[2]
	d.calls.set(func(c *calls) {
		c.onPut = func(key string) error {
			if key == "media/"+changed {
				return errors.New("not now")
			}
			return nil
		}
	})
	d.write(changed, "changed here")
	d.until("it to be tried", func() bool { return d.e.Stats().Retries > 0 })
	other.mustUpload(func() { other.remove(changed) })
	d.until("the delete to be known", func() bool { return d.e.team.log.Stats().Position >= other.e.team.log.Stats().Position })
	d.calls.set(func(c *calls) { c.onPut = nil })
	d.files[changed] = "changed here"
	d.idle()
	d.all.agree()
	compare(t, d.files, d.objects())
}
