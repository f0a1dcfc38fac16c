package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
	"google.golang.org/protobuf/proto"
)

// output is an open log.
type output struct {
	stream *framestream.Writer
	to     io.Closer
	path   string      // of a file; "" for a socket
	info   fs.FileInfo // likewise
	stop   func() bool // likewise; ends the watch for the server's end, which bounds its writes

	unsure uint64 // messages that may not have left our buffer
	frame  []byte
}

// open connects to the socket, or makes the file.
func (w *Writer) open(ctx context.Context) (*output, error) {
	if w.o.Socket != "" {
		return openSocket(ctx, w.o.Socket)
	}
	return openFile(ctx, w.o.File)
}

func openSocket(ctx context.Context, path string) (*output, error) {
	d := net.Dialer{Timeout: writeTime}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// The handshake may wait for the reader; the end of the server may not. It sets
	// deadlines of its own, which would undo one of ours.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the handshake tells
	defer stop()
	stream, err := framestream.NewWriter(conn, &framestream.WriterOptions{
		ContentTypes: [][]byte{dnstap.FSContentType}, Bidirectional: true, Timeout: writeTime,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("greeting the reader: %w", err), conn.Close())
	}
	return &output{stream: stream, to: conn}, nil
}

func openFile(ctx context.Context, path string) (*output, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no ordinary file", path)
		}
		aside := path + "." + info.ModTime().UTC().Format("20060102T150405.000Z")
		if err := os.Rename(path, aside); err != nil {
			return nil, err
		}
	}
	// A pipe that nobody reads must not hold up the end of the server.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Now().Add(writeTime)) }) // ordinary files have none
	info, err := f.Stat()
	if err == nil {
		var stream *framestream.Writer
		if stream, err = framestream.NewWriter(f, &framestream.WriterOptions{ContentTypes: [][]byte{dnstap.FSContentType}}); err == nil {
			return &output{stream: stream, to: f, path: path, info: info, stop: stop}, nil
		}
	}
	stop()
	return nil, errors.Join(err, f.Close())
}

// moved says that the file is no longer where it was made.
func (o *output) moved() bool {
	if o.path == "" {
		return false
	}
	info, err := os.Stat(o.path)
	return err != nil || !os.SameFile(info, o.info)
}

// close ends the stream in the way that its readers expect. What fails here
// was reported as a failed write, or is lost with the reader.
func (o *output) close() {
	if o.stop != nil {
		defer o.stop()
	}
	_ = o.stream.Close()
	_ = o.to.Close()
}

// write frames one message.
func (o *output) write(m *message, opts *Options) error {
	var err error
	o.frame, err = proto.MarshalOptions{}.MarshalAppend(o.frame[:0], envelope(m, opts))
	if err != nil {
		return fmt.Errorf("packing a message: %w", err)
	}
	_, err = o.stream.WriteFrame(o.frame)
	return err
}

func envelope(m *message, o *Options) *dnstap.Dnstap {
	family, protocol := dnstap.SocketFamily_INET, dnstap.SocketProtocol_UDP
	if m.client.Addr().Is6() {
		family = dnstap.SocketFamily_INET6
	}
	if m.tcp {
		protocol = dnstap.SocketProtocol_TCP
	}
	sec, nsec := uint64(m.at.Unix()), uint32(m.at.Nanosecond())
	out := &dnstap.Message{
		SocketFamily: &family, SocketProtocol: &protocol,
		QueryAddress: m.client.Addr().AsSlice(), QueryPort: new(uint32(m.client.Port())),
		ResponsePort: new(uint32(m.server.Port())),
	}
	if a := m.server.Addr(); a.IsValid() && !a.IsUnspecified() { // a wildcard says nothing
		out.ResponseAddress = m.server.Addr().AsSlice()
	}
	if m.answer {
		out.Type = dnstap.Message_CLIENT_RESPONSE.Enum()
		out.ResponseTimeSec, out.ResponseTimeNsec, out.ResponseMessage = &sec, &nsec, m.wire
	} else {
		out.Type = dnstap.Message_CLIENT_QUERY.Enum()
		out.QueryTimeSec, out.QueryTimeNsec, out.QueryMessage = &sec, &nsec, m.wire
	}
	return &dnstap.Dnstap{
		Type: dnstap.Dnstap_MESSAGE.Enum(), Identity: []byte(o.Identity), Version: []byte(o.Version), Message: out,
	}
}
