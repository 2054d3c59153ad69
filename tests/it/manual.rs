//! Man pages and completions in `deploy/`, generated from the definition of the commands.
//! `UPDATE_DOCS=1 cargo test --test it manual::` writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap_complete::{Shell, generate};
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use crate::house::root;

/// Compares the files of a folder with those generated from the code, or writes them.
fn assert_up_to_date(folder: &str, generated: &BTreeMap<String, Vec<u8>>) {
    let folder = root().join(folder);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        generated.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
    }
    let written: BTreeMap<String, Vec<u8>> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(generated), "{}", remedy(&folder));
    for (name, text) in generated {
        assert!(written[name] == *text, "{name} is out of date: {}", remedy(&folder));
    }
}

fn remedy(folder: &Path) -> String {
    format!("UPDATE_DOCS=1 cargo test --test it manual:: writes {}", folder.display())
}

/// Returns the definition of the commands, without `help`, which needs no page.
fn definition() -> clap::Command {
    let mut command = rtconfd::cli::definition().disable_help_subcommand(true);
    command.build();
    command
}

/// Adds the page of a command and those of its subcommands.
fn add_pages(command: &clap::Command, name: &str, pages: &mut BTreeMap<String, Vec<u8>>) {
    let mut text = Vec::new();
    // Names are static, and the test process is short.
    let shown = command.clone().name(&*name.to_owned().leak()).display_name(name);
    let man =
        Man::new(shown).date("").source(concat!("rtconfd ", env!("CARGO_PKG_VERSION"))).manual("rtconfd");
    man.render(&mut text).unwrap();
    pages.insert(format!("{name}.1"), text);
    for subcommand in command.get_subcommands() {
        add_pages(subcommand, &format!("{name}-{}", subcommand.get_name()), pages);
    }
}

/// Returns the page of the settings file: the commented default.
fn settings_page() -> Vec<u8> {
    let settings = fs::read_to_string(root().join("config/rtconfd.toml")).unwrap();
    let mut roff = Roff::new();
    roff.control("TH", ["rtconfd.toml", "5", "", concat!("rtconfd ", env!("CARGO_PKG_VERSION")), "rtconfd"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("rtconfd.toml - the settings of rtconfd")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([
        roman("The settings of "),
        bold("rtconfd"),
        roman("(1), in TOML. The service reads /etc/rtconfd/rtconfd.toml. This is every setting with its default."),
    ]);
    roff.control("SH", ["SETTINGS"]).control("nf", []);
    for line in settings.lines() {
        // An empty line in a filled page would end a paragraph.
        roff.text([roman(line)]);
    }
    roff.control("fi", []).control("SH", ["SEE ALSO"]);
    roff.text([bold("rtconfd"), roman("(1), "), bold("rtconfd-check"), roman("(1)")]);
    roff.render().into_bytes()
}

#[test]
fn the_man_pages_are_those_of_the_commands() {
    let mut pages = BTreeMap::from([("rtconfd.toml.5".to_owned(), settings_page())]);
    add_pages(&definition(), "rtconfd", &mut pages);
    assert!(pages.len() > 30 && pages.contains_key("rtconfd-override-set.1"), "{:?}", pages.keys());
    assert_up_to_date("deploy/man", &pages);
}

#[test]
fn the_completions_are_those_of_the_commands() {
    let files = [(Shell::Bash, "rtconfd.bash"), (Shell::Zsh, "_rtconfd"), (Shell::Fish, "rtconfd.fish")];
    let completions = files.map(|(shell, name)| {
        let mut text = Vec::new();
        generate(shell, &mut rtconfd::cli::definition(), "rtconfd", &mut text);
        (name.to_owned(), text)
    });
    assert_up_to_date("deploy/completions", &completions.into());
}
