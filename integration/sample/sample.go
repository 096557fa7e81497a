// Package sample makes files to upload: images that image libraries read, and
// documents that apps accept. The same arguments give the same bytes.
package sample

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
)

// File is a file to upload.
type File struct {
	// Name is the file's name as the user has it.
	Name string
	// Type is its media type as a browser would send it.
	Type    string
	Content []byte
}

// JPEG makes a photo-like picture of about the given megapixels, 4:3. Pictures
// of different seeds differ.
func JPEG(name string, megapixels float64, seed uint64) File {
	width := int(math.Sqrt(megapixels * 1e6 * 4 / 3))
	height := width * 3 / 4
	random := rand.New(rand.NewPCG(seed, 1))
	img := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	noise := make([]byte, 1<<12)
	for i := range noise {
		noise[i] = byte(random.IntN(24))
	}
	for y := range height {
		row := img.Y[y*img.YStride : y*img.YStride+width]
		base := y * 150 / height
		shift := random.IntN(len(noise))
		for x := range row {
			row[x] = byte(base + x*70/width + int(noise[(x+shift)%len(noise)]))
		}
	}
	blue, red := byte(random.IntN(256)), byte(random.IntN(256))
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = blue, red
	}
	var b bytes.Buffer
	must(jpeg.Encode(&b, img, &jpeg.Options{Quality: 82}))
	return File{Name: name, Type: "image/jpeg", Content: b.Bytes()}
}

// PNG makes a picture with transparent parts.
func PNG(name string, width, height int, seed uint64) File {
	random := rand.New(rand.NewPCG(seed, 2))
	tint := uint8(random.IntN(256))
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetNRGBA(x, y, color.NRGBA{R: uint8(x), G: uint8(y), B: tint, A: uint8(255 - (x+y)%128)})
		}
	}
	var b bytes.Buffer
	must(png.Encode(&b, img))
	return File{Name: name, Type: "image/png", Content: b.Bytes()}
}

// PDF makes a document of one empty page.
func PDF(name string, seed uint64) File {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var offsets []int
	for i, object := range []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d 200] >>", 200+seed%100),
	} {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, table)
	return File{Name: name, Type: "application/pdf", Content: b.Bytes()}
}

// MP4 makes a file of the given size that begins like a video and holds random
// bytes.
func MP4(name string, size int, seed uint64) File {
	content := make([]byte, 0, size)
	content = append(content, "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"...)
	content = binary.BigEndian.AppendUint32(content, uint32(size-len(content)))
	content = append(content, "mdat"...)
	rest := content[len(content):size]
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = random.Read(rest) // never fails
	return File{Name: name, Type: "video/mp4", Content: content[:size]}
}

// must is for encoders that write to memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
