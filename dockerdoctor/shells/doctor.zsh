#compdef doctor
# zsh completion for doctor: a file _doctor in a folder of $fpath, or eval "$(doctor completion zsh)" after compinit
_doctor() {
    local line directive
    local -a found described more
    found=("${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    directive=${found[-1]#:}
    for line in "${(@)found[1,-2]}"; do
        if [[ $line == *$'\t'* ]]; then
            described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            described+=("${line//:/\\:}")
        fi
    done
    (( directive & 2 )) && more=(-S '')
    if (( $#described )); then
        _describe -V doctor described "${more[@]}"
    elif (( ! (directive & 4) )); then
        # After "--output=" and "html=" comes a file.
        compset -P '*='
        _files
    fi
}
if [[ $funcstack[1] == _doctor ]]; then
    _doctor "$@"
else
    compdef _doctor doctor
fi
