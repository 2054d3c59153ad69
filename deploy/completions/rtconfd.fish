# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rtconfd_global_optspecs
    string join \n config= log-format= set= h/help V/version
end

function __fish_rtconfd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rtconfd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rtconfd_using_subcommand
    set -l cmd (__fish_rtconfd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rtconfd -n "__fish_rtconfd_needs_command" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_needs_command" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_needs_command" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_needs_command" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -s V -l version -d 'Print version'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "run" -d 'Runs the daemon: keeps all pages right until it is stopped'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "apply" -d 'Brings all pages up to date once, then exits; for cron'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "plan" -d 'Shows what apply would do; never writes'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "check" -d 'Checks settings and inputs, and the values of the coming 400 days against the pages\' schemas'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "explain" -d 'Explains why a variable has its value, since when and until when'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "preview" -d 'Shows the coming changes'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "status" -d 'Shows the state of the pages'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "history" -d 'Shows the past changes, with times and reasons'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "override" -d 'Sets, lists and ends overrides: hours closed or open, or a value, for a while'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "approve" -d 'Approves a held revision, and only that one; or confirms that the clock is right'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "reject" -d 'Rejects a held revision, so that others see that its files must be corrected'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "diff" -d 'Shows the changes of the held revision, by site, before it is approved'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "reload" -d 'Makes the daemon reload its settings, and waits for the result'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "health" -d 'Asks the daemon for its health; for probes of containers'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "notify" -d 'Sends a test message to the receivers of notifications'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "agents" -d 'Lists the account\'s agents with their ids'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "pull" -d 'Turns pages into local files: settings, values and schemas, so that plan finds nothing to do'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "schema" -d 'Compares schemas of files and pages, and sends a file\'s schema to pages'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "variants" -d 'Compares variants of agents with the settings, and exports them'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "calendar" -d 'Lists the dates of a calendar file, or the public holidays of a place, in a window'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "store" -d 'Backs up, restores and describes the store'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "simulator" -d 'Serves a simulator of the Agents API'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "demo" -d 'Demonstrates rtconfd on sample data'
complete -c rtconfd -n "__fish_rtconfd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l at -d 'Rehearse: run as if it were this instant; only against an API on this machine' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l speed -d 'Rehearse: let this many seconds pass in each real second; only against an API on this machine' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l reason -d 'With --alone: the reason, for status and the log' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l accept-empty-store -d 'Start with an empty store if it is missing or damaged; a damaged one is moved aside'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l alone -d 'Go on with this replica\'s copy of the store while the database does not answer'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -l yes -d 'With --alone: decide it; without --yes it only says what it means'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand run" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -l timeout -d 'The longest time to keep trying, as in 90s or 5m' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -l quiet -d 'Print nothing unless a person must act; for cron, which mails the output'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -l accept-empty-store -d 'Start with an empty store if it is missing or damaged; a damaged one is moved aside'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand plan" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand plan" -l at -d 'Plan as if it were this instant' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand plan" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand plan" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand plan" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand check" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand check" -l at -d 'Look ahead from this instant' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand check" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand check" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand check" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand check" -l offline -d 'Do not call the API: check everything except values against the pages\' schemas'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand explain" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand explain" -l at -d 'Explain the value at this instant' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand explain" -l revision -d 'Show the held revision, the active one, or the one with this ID' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand explain" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand explain" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand explain" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'
ics\t'For calendar programs: an iCalendar file'
svg\t'A picture of the opening hours'
html\t'A web page with the opening hours, complete in one file'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l from -l at -d 'The start of the window [default: now]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l to -d 'The end of the window, not included [default: 14 days after the start]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l days -d 'The length of the window in days, instead of an end' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l variable -d 'Show only this variable' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l revision -d 'Show the held revision, the active one, or the one with this ID' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -l utc -d 'Show times in UTC instead of the local time of each page'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand preview" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l site -d 'List only the pages of the row with this key; may be repeated' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l all -d 'List all pages; without this, more than 20 are listed only if they have a problem'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l problems -d 'List only pages with a problem'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l watch -d 'Report again every two seconds, until Ctrl-C'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -l utc -d 'Show times in UTC instead of the local time of each page'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand history" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand history" -l limit -d 'Show only the newest N changes' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand history" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand history" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand history" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand history" -l utc -d 'Show times in UTC instead of the local time of each page'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -f -a "set" -d 'Sets an override: rtconfd override set --where region=NE --closed --until 14:00 --reason snow'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -f -a "list" -d 'Lists the active overrides'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -f -a "extend" -d 'Gives an active override another end'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -f -a "clear" -d 'Ends an override early; the computed values return'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and not __fish_seen_subcommand_from set list extend clear help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l environment -d 'Pages of this environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l where -d 'Pages whose row has this cell, and the sites with it on pages that show many; may be repeated, and all must match' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l value -d 'A variable has this value; with --where on pages whose row has the cells, or where [[page.each]] makes it for such a row' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l until -d 'The end: a local time (14:00, 2026-12-24T14:00), a length (2h), or "next opening"' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l reason -d 'The reason, for status and history' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l all -d 'All pages'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l closed -d 'The hours are closed'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l open -d 'The hours are open'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -l until-released -d 'Without an end: until it is cleared'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from list" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from list" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from list" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from list" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from list" -l all -d 'Include overrides that have ended'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from list" -l utc -d 'Show times in UTC instead of the local time of each page'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from extend" -l until -d 'The new end: a local time (14:00, 2026-12-24T14:00), a length (2h), or "next opening"' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from extend" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from extend" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from extend" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from extend" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from extend" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from clear" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from clear" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from clear" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from clear" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from help" -f -a "set" -d 'Sets an override: rtconfd override set --where region=NE --closed --until 14:00 --reason snow'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from help" -f -a "list" -d 'Lists the active overrides'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from help" -f -a "extend" -d 'Gives an active override another end'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from help" -f -a "clear" -d 'Ends an override early; the computed values return'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand override; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand approve" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand approve" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand approve" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand approve" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reject" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reject" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reject" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reject" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand diff" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand diff" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand diff" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand diff" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand diff" -l utc -d 'Show times in UTC instead of the local time of each page'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reload" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reload" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reload" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand reload" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand health" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand health" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand health" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand health" -l ready -d 'Also require what readiness needs: first sync, accepted key, good reload, trusted clock'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand health" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Sends a test message to all receivers, or to one, and shows what came back'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and __fish_seen_subcommand_from test" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and __fish_seen_subcommand_from test" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and __fish_seen_subcommand_from test" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and __fish_seen_subcommand_from test" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and __fish_seen_subcommand_from help" -f -a "test" -d 'Sends a test message to all receivers, or to one, and shows what came back'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand notify; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l account -d 'The account, as in ws-fd112d8f [default: the key\'s own account, through an older call of the API]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l region -d 'The region of the account: us, eu, uk or studio; short for --set api.region=REGION' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l base-url -d 'The address of another API, as in http://127.0.0.1:4010; short for --set api.base_url=URL' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l key-file -d 'The file with the API key, mode 600 [default: the settings\' key_file, else the systemd credential agents-api-key, else the variable RTCONFD_API_KEY]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -l pages -d 'Fetch each agent\'s pages too, with one request per agent'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand agents" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -l into -d 'The folder for the files; it is created if missing' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -l region -d 'The region of the account: us, eu, uk or studio; short for --set api.region=REGION' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -l base-url -d 'The address of another API, as in http://127.0.0.1:4010; short for --set api.base_url=URL' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -l key-file -d 'The file with the API key, mode 600 [default: the settings\' key_file, else the systemd credential agents-api-key, else the variable RTCONFD_API_KEY]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand pull" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and not __fish_seen_subcommand_from diff push help" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and not __fish_seen_subcommand_from diff push help" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and not __fish_seen_subcommand_from diff push help" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and not __fish_seen_subcommand_from diff push help" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and not __fish_seen_subcommand_from diff push help" -f -a "diff" -d 'Shows the differences between two schemas; each is a page or a file'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and not __fish_seen_subcommand_from diff push help" -f -a "push" -d 'Sends a file\'s schema to pages, if their values, now and in the coming 400 days, satisfy it'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and not __fish_seen_subcommand_from diff push help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -l region -d 'The region of the account: us, eu, uk or studio; short for --set api.region=REGION' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -l base-url -d 'The address of another API, as in http://127.0.0.1:4010; short for --set api.base_url=URL' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -l key-file -d 'The file with the API key, mode 600 [default: the settings\' key_file, else the systemd credential agents-api-key, else the variable RTCONFD_API_KEY]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l region -d 'The region of the account: us, eu, uk or studio; short for --set api.region=REGION' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l base-url -d 'The address of another API, as in http://127.0.0.1:4010; short for --set api.base_url=URL' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l key-file -d 'The file with the API key, mode 600 [default: the settings\' key_file, else the systemd credential agents-api-key, else the variable RTCONFD_API_KEY]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -l yes -d 'Send it; without this flag the changes are only shown'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Shows the differences between two schemas; each is a page or a file'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from help" -f -a "push" -d 'Sends a file\'s schema to pages, if their values, now and in the coming 400 days, satisfy it'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand schema; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -f -a "diff" -d 'Shows where the variants of agents differ from the settings; never writes'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -f -a "export" -d 'Prints the variants of one agent as a CSV file that the vendor\'s UI imports'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -f -a "pull" -d 'Turns the variants of an agent into a table and settings, so that diff finds nothing'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and not __fish_seen_subcommand_from diff export pull help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from diff" -l agent -d 'Compare this agent only' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from diff" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from diff" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from diff" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from diff" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from export" -l agent -d 'The agent [default: the only one with variants]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from export" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from export" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from export" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from export" -l offline -d 'Do not call the API: leave all ids empty, for an agent without variants'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -l into -d 'The folder for the files; it is created if missing' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -l region -d 'The region of the account: us, eu, uk or studio; short for --set api.region=REGION' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -l base-url -d 'The address of another API, as in http://127.0.0.1:4010; short for --set api.base_url=URL' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -l key-file -d 'The file with the API key, mode 600 [default: the settings\' key_file, else the systemd credential agents-api-key, else the variable RTCONFD_API_KEY]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Shows where the variants of agents differ from the settings; never writes'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from help" -f -a "export" -d 'Prints the variants of one agent as a CSV file that the vendor\'s UI imports'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Turns the variants of an agent into a table and settings, so that diff finds nothing'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand variants; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l public -d 'Public holidays instead of a file, by ISO 3166 code, as in FR, DE-BY or GB-ENG' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l timezone -d 'The time zone of dates and floating times; public holidays are whole dates and need none' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l from -d 'The first date of the window [default for public holidays: the first known date]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l to -d 'The date after the window\'s last [default for public holidays: all known dates]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -l codes -d 'List the codes with known public holidays'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand calendar" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -f -a "backup" -d 'Copies the store into a new file, as of one instant; also while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -f -a "restore" -d 'Replaces the store by a backup, and keeps the replaced one beside it; not while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -f -a "move" -d 'Moves the store into a new file or database, and back; not while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -f -a "create" -d 'Creates the store in the database of store.url, or upgrades it; run and apply create one in a file'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -f -a "info" -d 'Shows what the store is and contains'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and not __fish_seen_subcommand_from backup restore move create info help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from backup" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from backup" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from backup" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from backup" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from restore" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from restore" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from restore" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from move" -l password-file -d 'The file with the password of that database' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from move" -l ca-file -d 'The file with the certificates that its certificate must come from' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from move" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from move" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from move" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from move" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from create" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from create" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from create" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from info" -l format -d 'The format of the output' -r -f -a "table\t'For people'
json\t'For programs: one JSON object per line'"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from info" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from info" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from info" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "backup" -d 'Copies the store into a new file, as of one instant; also while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Replaces the store by a backup, and keeps the replaced one beside it; not while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "move" -d 'Moves the store into a new file or database, and back; not while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "create" -d 'Creates the store in the database of store.url, or upgrades it; run and apply create one in a file'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "info" -d 'Shows what the store is and contains'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -l listen -d 'The address to listen on; port 0 picks a free one' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -l api-key -d 'The key that requests must send' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -l agent -d 'An agent that exists; may be repeated [default: every agent id exists]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -l state -d 'Keep the pages in this file between runs' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand simulator" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand demo" -l speed -d 'Seconds of the demo\'s clock in each real second; with 3600 an hour passes each second' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand demo" -l at -d 'The instant at which the demo starts [default: shortly before the next opening or closing]' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand demo" -l listen -d 'Address of the simulator; port 0 picks a free one' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand demo" -l config -d 'The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]' -r -F
complete -c rtconfd -n "__fish_rtconfd_using_subcommand demo" -l log-format -d 'The format of the log' -r -f -a "text\t''
json\t''"
complete -c rtconfd -n "__fish_rtconfd_using_subcommand demo" -l set -d 'Sets a single setting, as in --set api.region=uk; takes precedence over file and environment' -r
complete -c rtconfd -n "__fish_rtconfd_using_subcommand demo" -s h -l help -d 'Print help'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "run" -d 'Runs the daemon: keeps all pages right until it is stopped'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "apply" -d 'Brings all pages up to date once, then exits; for cron'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "plan" -d 'Shows what apply would do; never writes'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "check" -d 'Checks settings and inputs, and the values of the coming 400 days against the pages\' schemas'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "explain" -d 'Explains why a variable has its value, since when and until when'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "preview" -d 'Shows the coming changes'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "status" -d 'Shows the state of the pages'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "history" -d 'Shows the past changes, with times and reasons'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "override" -d 'Sets, lists and ends overrides: hours closed or open, or a value, for a while'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "approve" -d 'Approves a held revision, and only that one; or confirms that the clock is right'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "reject" -d 'Rejects a held revision, so that others see that its files must be corrected'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "diff" -d 'Shows the changes of the held revision, by site, before it is approved'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "reload" -d 'Makes the daemon reload its settings, and waits for the result'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "health" -d 'Asks the daemon for its health; for probes of containers'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "notify" -d 'Sends a test message to the receivers of notifications'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "agents" -d 'Lists the account\'s agents with their ids'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "pull" -d 'Turns pages into local files: settings, values and schemas, so that plan finds nothing to do'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "schema" -d 'Compares schemas of files and pages, and sends a file\'s schema to pages'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "variants" -d 'Compares variants of agents with the settings, and exports them'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "calendar" -d 'Lists the dates of a calendar file, or the public holidays of a place, in a window'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "store" -d 'Backs up, restores and describes the store'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "simulator" -d 'Serves a simulator of the Agents API'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "demo" -d 'Demonstrates rtconfd on sample data'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and not __fish_seen_subcommand_from run apply plan check explain preview status history override approve reject diff reload health notify agents pull schema variants calendar store simulator demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from override" -f -a "set" -d 'Sets an override: rtconfd override set --where region=NE --closed --until 14:00 --reason snow'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from override" -f -a "list" -d 'Lists the active overrides'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from override" -f -a "extend" -d 'Gives an active override another end'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from override" -f -a "clear" -d 'Ends an override early; the computed values return'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from notify" -f -a "test" -d 'Sends a test message to all receivers, or to one, and shows what came back'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from schema" -f -a "diff" -d 'Shows the differences between two schemas; each is a page or a file'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from schema" -f -a "push" -d 'Sends a file\'s schema to pages, if their values, now and in the coming 400 days, satisfy it'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from variants" -f -a "diff" -d 'Shows where the variants of agents differ from the settings; never writes'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from variants" -f -a "export" -d 'Prints the variants of one agent as a CSV file that the vendor\'s UI imports'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from variants" -f -a "pull" -d 'Turns the variants of an agent into a table and settings, so that diff finds nothing'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "backup" -d 'Copies the store into a new file, as of one instant; also while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "restore" -d 'Replaces the store by a backup, and keeps the replaced one beside it; not while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "move" -d 'Moves the store into a new file or database, and back; not while the daemon runs'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "create" -d 'Creates the store in the database of store.url, or upgrades it; run and apply create one in a file'
complete -c rtconfd -n "__fish_rtconfd_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "info" -d 'Shows what the store is and contains'
