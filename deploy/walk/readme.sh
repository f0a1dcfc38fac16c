# shellcheck shell=bash
# Takes out of README.md what it tells an administrator to write and to run, so
# that the walk follows README and nothing else. README names the file.

# section HEADING prints a "## " section.
section() {
	awk -v want="## $1" '/^## /{on = ($0 == want)} on' "$README"
}

# recipe NAME prints what stands from a bold name in the section Recipes to the
# next one at the start of a line.
recipe() {
	section Recipes | awk -v want="**$1**" '/^\*\*/{on = (index($0, want) == 1)} on'
}

# fence LANG [N] prints the Nth fenced block of standard input with this
# language ("" for none), without the fences.
fence() {
	awk -v lang="$1" -v nth="${2:-1}" '
		!inside && /^```/ {inside = 1; on = ($0 == "```" lang && ++seen == nth); next}
		inside && /^```$/ {inside = on = 0; next}
		on {print; found = 1}
		END {exit !found}'
}

# table TASK prints the command of a row "| TASK | `command` |" of Operations.
table() {
	section Operations | sed -n "s/^| $1 | \`\([^\`]*\)\`.*/\1/p" | grep .
}

# toml TABLE prints one table of a TOML text on standard input.
toml() {
	awk -v want="[$1]" '/^\[/{on = ($0 == want)} on && NF' | grep .
}
