//! The guides, runbooks and README, followed word for word: their folders, commands and outputs.

use std::os::unix::fs::PermissionsExt;

use crate::house::root;
use crate::support::{Api, Folder, KEY, Ran};

/// A fenced block of a document.
struct Block {
    /// The language after the fence.
    language: String,
    /// The paragraph before the block.
    before: String,
    text: String,
}

/// Returns the blocks of a document, without their indentation.
fn blocks(document: &str) -> Vec<Block> {
    let (mut blocks, mut paragraph, mut open) = (Vec::new(), String::new(), None::<(usize, Block)>);
    for line in document.lines() {
        let (indent, fence) = (line.len() - line.trim_start().len(), line.trim_start().strip_prefix("```"));
        match (&mut open, fence) {
            (None, Some(language)) => {
                let (language, before) = (language.to_owned(), paragraph.clone());
                open = Some((indent, Block { language, before, text: String::new() }));
            }
            (Some(_), Some(_)) => {
                blocks.extend(open.take().map(|(_, block)| block));
                paragraph.clear();
            }
            (Some((indent, block)), None) => {
                block.text += line.get(*indent..).unwrap_or_default();
                block.text += "\n";
            }
            (None, None) if line.is_empty() => {}
            (None, None) => line.clone_into(&mut paragraph),
        }
    }
    blocks
}

/// Returns the name of the file that a block contains; the text before the block ends with it.
fn file_of(block: &Block) -> Option<&str> {
    let before = block.before.strip_suffix(':')?;
    let name = before.strip_suffix('`')?.rsplit('`').next()?;
    let endings = [".toml", ".csv", ".json", ".ics"];
    (endings.iter().any(|ending| name.ends_with(ending)) && !name.contains('/')).then_some(name)
}

/// Returns the `rtconfd` commands of a block, without comments.
fn commands(block: &Block) -> Vec<Vec<String>> {
    if !["sh", "console"].contains(&block.language.as_str()) {
        return Vec::new();
    }
    let text = block.text.replace("\\\n", " ");
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let commands = lines.flat_map(|line| line.split("; "));
    let ours = commands.filter_map(|command| {
        let words = words(command.trim_start_matches("$ "));
        (words.first()? == "rtconfd").then(|| words[1..].to_vec())
    });
    ours.filter(|words| !words.iter().any(|word| word.contains(['[', '…', '<', '>']))).collect()
}

/// Splits a command into words as a shell does, as far as the documents need it.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (_, c) => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

fn documents() -> Vec<(String, Vec<Block>)> {
    let folders = ["docs/guides", "docs/runbooks"].map(|name| std::fs::read_dir(root().join(name)).unwrap());
    let mut paths: Vec<_> = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.push(root().join("README.md"));
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, blocks(&std::fs::read_to_string(path).unwrap()))
    };
    paths.into_iter().map(read).collect()
}

/// Creates the folder that a guide starts with; none if its pages are not on the simulator.
fn folder_of(blocks: &[Block], api: &Api) -> Option<Folder> {
    let folder = Folder::new(&api.url, "");
    let mut written: Vec<&str> = Vec::new();
    for block in blocks {
        if let Some(name) = file_of(block).filter(|name| !written.contains(name)) {
            written.push(name);
            folder.write(name, &block.text.replace("http://127.0.0.1:4010", &api.url));
        }
    }
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("agents-api-key", KEY);
    std::fs::set_permissions(folder.path("agents-api-key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    (settings.contains("[[page]]") && settings.contains(&api.url)).then_some(folder)
}

/// Returns true if the words of a line appear in this order in a printed line; `…` matches any text.
fn is_printed(line: &str, printed: &[String]) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    printed.iter().any(|printed| {
        let mut rest = printed.as_str();
        words.iter().all(|word| {
            let word = word.split('…').next().unwrap_or_default();
            let found = rest.find(word);
            rest = found.map_or("", |at| &rest[at + word.len()..]);
            found.is_some()
        })
    })
}

#[test]
fn every_command_of_the_documents_exists_with_its_options() {
    let api = Api::start();
    let folder = Folder::new(&api.url, "");
    let mut count = 0;
    for (document, blocks) in documents() {
        for command in blocks.iter().flat_map(commands) {
            let arguments = command.iter().map(String::as_str).chain(["--help"]);
            let Ran { code, err, .. } = folder.run(&arguments.collect::<Vec<_>>());
            assert_eq!(code, 0, "{document}: rtconfd {}: {err}", command.join(" "));
            count += 1;
        }
    }
    assert!(count > 50, "{count} commands");
}

#[test]
fn every_folder_of_the_guides_works_and_its_commands_print_what_the_guide_shows() {
    let mut followed = Vec::new();
    for (document, blocks) in documents() {
        let api = Api::start();
        let Some(folder) = folder_of(&blocks, &api) else { continue };
        folder.run(&["check"]).expect(0);
        let mut printed = Vec::new();
        for command in blocks.iter().flat_map(commands) {
            let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
            // Other commands run until they are stopped, need a daemon, or depend on the current time.
            let is_of_an_instant = arguments.contains(&"--at");
            let prints = is_of_an_instant && ["plan", "preview", "check", "explain"].contains(&arguments[0]);
            if prints || arguments.starts_with(&["variants", "diff"]) {
                let ran = folder.run(&arguments);
                assert!([0, 2].contains(&ran.code), "{document}: {}: {}", command.join(" "), ran.err);
                printed.extend(ran.out.lines().map(str::to_owned));
            }
        }
        let shows =
            |block: &&Block| block.language == "text" && block.before.to_lowercase().contains("output of");
        for block in blocks.iter().filter(shows) {
            for line in block.text.lines() {
                assert!(
                    is_printed(line, &printed),
                    "{document}: {line}\nis not printed:\n{}",
                    printed.join("\n")
                );
            }
            followed.push(document.clone());
        }
        folder.run(&["apply"]).expect(0);
    }
    assert!(followed.len() >= 3, "{followed:?}");
}
