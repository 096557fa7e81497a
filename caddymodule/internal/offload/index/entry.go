package index

import "github.com/media-offload/caddy-media-offload/caddymodule/internal/media"

// Standing is the class of a file, and why.
type Standing struct {
	Class media.Class
	// Kept: no rule of this disk makes the file private, its object's place does.
	Kept bool
}

// Stored reports whether the bucket holds the key's present content.
func (x Entry) Stored() bool {
	return x.State == Committed || x.State == BucketOnly || x.State == Announced
}

// Classes as they stand in a mark.
const (
	letterPublic  = 'o'
	letterPrivate = 'p'
	LetterKept    = 'k'
)

// Letter is the class as it stands in a mark.
func (x Entry) Letter() byte {
	switch {
	case x.Kept:
		return LetterKept
	case x.Class == media.Private:
		return letterPrivate
	}
	return letterPublic
}

// ClassOf is the class that a letter of a mark stands for. What is none is private.
func ClassOf(letter byte) media.Class {
	if letter == letterPublic {
		return media.Public
	}
	return media.Private
}

// Finding is what is known of the place of a file that may name others.
type Finding struct {
	Place media.Place
	Known bool
}

// judged completes the entry of a file that names no others: it may be used
// anywhere, and Public need not look at its name again.
func (x Entry) judged(key string) Entry {
	if !x.Found.Known && media.NamingType(key) == "" {
		x.Found = Finding{Place: media.PlaceAnywhere, Known: true}
	}
	return x
}

// Place is from where the file of an entry may be used.
func (x Entry) Place(key string) media.Place {
	if x = x.judged(key); !x.Found.Known {
		return media.PlaceAtHome
	}
	return x.Found.Place
}

// MetaPlace, in an object's metadata, tells from where the file may be used and
// by which rules that was found: "cors 0123abcd".
const MetaPlace = "place"

// Meta is the metadata that tells the finding, nil if nothing is known.
func (f Finding) Meta(rules string) map[string]string {
	if !f.Known {
		return nil
	}
	return map[string]string{MetaPlace: f.Place.String() + " " + rules}
}
