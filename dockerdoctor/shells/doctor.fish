# fish completion for doctor: doctor completion fish > ~/.config/fish/completions/doctor.fish
function __doctor_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l found ($program __complete $words $last 2>/dev/null)
    set -l directive (string replace : '' -- $found[-1])
    set -e found[-1]
    if test (count $found) -gt 0
        printf '%s\n' $found
    else if test (math "bitand($directive, 4)") -eq 0
        # After "--output=" and "html=" comes a file.
        set -l before (string match -r '^.*=' -- $last)
        for path in (__fish_complete_path (string replace -r '^.*=' '' -- $last))
            printf '%s%s\n' "$before" $path
        end
    end
end
complete -c doctor -f -a '(__doctor_complete)'
