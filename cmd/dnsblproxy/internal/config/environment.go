package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// besides is the file from which systemd starts the server, in the folder of
// the configuration. Other commands are started from a shell, which does not
// know what stands there.
const besides = "environment"

// elsewhere says where to write a variable that is not set. The server itself
// may be unable to read the file that systemd starts it from.
func (r *reader) elsewhere(name string) string {
	if r.unreadable {
		return fmt.Sprintf("write %s=... into the file %q beside the configuration and restart the server: systemd reads it then, and this user cannot", name, besides)
	}
	return fmt.Sprintf("set it where the server is started (systemd: EnvironmentFile=), or write %s=... into the file %q beside the configuration", name, besides)
}

// variable is what a ${NAME} stands for: the variable of the process, else
// that of the file; "" when neither has it. No key begins or ends with a blank,
// but many a secret that containers are given ends in a newline.
func (r *reader) variable(name string) string {
	text, _ := r.LookupEnv(name)
	if text = strings.TrimSpace(text); text != "" {
		return text
	}
	if r.environment == nil {
		text, err := ReadFile(filepath.Join(r.folder, besides))
		r.unreadable = err != nil && !errors.Is(err, fs.ErrNotExist) // it may be root's
		r.environment = variables(string(text))
	}
	return r.environment[name]
}

// variables reads NAME=VALUE lines as systemd.exec(5) says of EnvironmentFile,
// less what no key needs: values of several lines, and escapes.
func variables(text string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		all[strings.TrimSpace(name)] = value
	}
	return all
}
