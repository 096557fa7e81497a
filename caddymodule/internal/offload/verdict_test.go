package offload

import "testing"

// Promise 2: "Nothing is lost. […] Local content is dropped only when the
// bucket's copy has been verified": no verdict drops a file that is not clean,
// and none writes over an object that this disk has not held.
//
// Broken on purpose, what decide says is missed by other tests as well; each was
// tried:
//   - a clean file without object: TestCommittedFileWithoutObject, for each cause
//   - a written file and
//     the same object: TestSameContentIsNoCollision
//     its base: TestReplacementOfWhatTheIndexForgot
//     an object held once: TestOverwrittenAfterALostAnswer
//     another one: TestCollisionKeepsBothContents
//     a stranger's: TestOverwriteOfWhatAStrangerReplaced
//   - the rest: TestSimulation
//
// Only this table notices what costs requests, but no content: putNew for putOver
// where nobody has looked; fetch for a file that is clean or of equal content.
func TestVerdicts(t *testing.T) {
	files := []fileState{noFile, cleanFile, changedFile, strangeFile}
	objects := []objectState{unseenObject, noObject, baseObject, sameObject, heldObject, otherObject, untoldObject}
	causes := []cause{ownChange, ownLook, putElsewhere, deletedElsewhere, otherDeleted}
	// By file and object; where the cause matters, by cause.
	table := map[fileState]map[objectState][]verdict{
		noFile: {
			unseenObject: {agreed}, noObject: {agreed},
			baseObject: {fetch}, sameObject: {fetch}, heldObject: {fetch}, otherObject: {fetch}, untoldObject: {fetch},
		},
		cleanFile: {
			unseenObject: {agreed}, noObject: {putNew, agreed, agreed, removeFile, putNew},
			baseObject: {agreed}, sameObject: {adopt}, heldObject: {fetch}, otherObject: {fetch}, untoldObject: {fetchKeeping},
		},
		changedFile: {
			unseenObject: {putOver}, noObject: {putNew},
			baseObject: {putOver}, sameObject: {adopt}, heldObject: {putKeeping}, otherObject: {keepBoth}, untoldObject: {putOverStrangers},
		},
		strangeFile: {
			unseenObject: {putNew}, noObject: {putNew},
			baseObject: {keepBoth}, sameObject: {adopt}, heldObject: {putKeeping}, otherObject: {keepBoth}, untoldObject: {keepBoth},
		},
	}
	for _, file := range files {
		for _, object := range objects {
			for i, why := range causes {
				want := table[file][object]
				if len(want) == 0 {
					t.Fatalf("no row for file %d, object %d", file, object)
				}
				got := decide(file, object, why, false)
				if w := want[min(i, len(want)-1)]; got != w {
					t.Errorf("file %d, object %d, cause %d: verdict %d, want %d", file, object, why, got, w)
				}
				if (got == removeFile || got == fetch) && file != noFile && file != cleanFile {
					t.Errorf("file %d, object %d, cause %d: drops content that is not in the bucket", file, object, why)
				}
				if got == putOver && object == otherObject {
					t.Errorf("file %d, object %d, cause %d: overwrites what was never here", file, object, why)
				}
			}
		}
	}
}

// Who writes alone stores what is on disk, unless the bucket has it.
func TestVerdictsAlone(t *testing.T) {
	for _, file := range []fileState{cleanFile, changedFile, strangeFile} {
		for object := unseenObject; object <= otherObject; object++ {
			for why := ownChange; why <= bucketBack; why++ {
				want := putAny
				switch {
				case object == sameObject:
					want = adopt
				case file == cleanFile && object <= baseObject && object != noObject:
					want = agreed
				}
				if got := decide(file, object, why, true); got != want {
					t.Errorf("file %d, object %d, cause %d: verdict %d, want %d", file, object, why, got, want)
				}
			}
		}
	}
}
