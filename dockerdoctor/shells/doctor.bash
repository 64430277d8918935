# bash completion for doctor: eval "$(doctor completion bash)"
_doctor() {
    local word last line directive
    local -a words=() found=()
    # bash takes a word apart at "=": put it together again.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if ((${#words[@]})) && [[ $word == "=" || ${words[-1]} == --*= || ${words[-1]} == [a-z]*= ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    last=${words[-1]}
    mapfile -t found < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
    ((${#found[@]})) || return
    directive=${found[-1]#:}
    unset 'found[-1]'
    # Only what follows the last "=" is the word that bash is going to replace.
    word=${COMP_WORDS[COMP_CWORD]}
    [[ $word == "=" ]] && word=
    COMPREPLY=()
    for line in "${found[@]}"; do
        line=${line%%$'\t'*}
        COMPREPLY+=("${line#"${last%"$word"}"}")
    done
    ((directive & 2)) && compopt -o nospace
    ((directive & 4)) || compopt -o default
}
complete -o nosort -F _doctor doctor 2>/dev/null || complete -F _doctor doctor
