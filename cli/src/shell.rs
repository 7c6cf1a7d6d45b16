//! Commands as they are printed, to be typed into a shell.

use std::borrow::Cow;
use std::path::Path;

/// A word as a shell takes it: in quotes where it would mean something else without them.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:@%+=,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
    }
}

/// The argument that names the folder of runs, behind a blank; nothing if the user named none.
pub(crate) fn store(folder: Option<&Path>) -> String {
    option("--store", folder)
}

/// The address of a worker, and the argument that names the folder of certificates for it.
pub(crate) fn address(url: &str, tls: Option<&Path>) -> String {
    format!("{}{}", quoted(url), option("--tls", tls))
}

fn option(name: &str, folder: Option<&Path>) -> String {
    folder.map(|folder| format!(" {name} {}", quoted(&folder.to_string_lossy()))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(store(None), "");
        assert_eq!(store(Some(Path::new("runs/a-1"))), " --store runs/a-1");
        let address = address("kubectl:n/g?context=c", Some(Path::new("my tls")));
        assert_eq!(address, "'kubectl:n/g?context=c' --tls 'my tls'");
        for word in ["", "my runs", "a'b", "$HOME", "~", "a;b", "*", "kubectl:n/g?context=c", "ü", "a\\b\"c"]
        {
            let printed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), word);
        }
    }
}
