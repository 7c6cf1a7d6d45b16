use std::time::UNIX_EPOCH;

use super::*;
use crate::generator::Generator;
use crate::hyperparameters::Hyperparameters;
use crate::model::{LoadOptions, Model};
use crate::network::Network;
use crate::request::{ChatMessage, Request, Role, Sampling};
use crate::testing::TinyModel;
use crate::weights::Weights;

/// A model in a folder, and the folder of its converted weights.
struct Bench {
    folder: tempfile::TempDir,
    tiny: TinyModel,
}

impl Bench {
    fn new(tiny: TinyModel) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), tiny };
        bench.tiny.write(&bench.model()).unwrap();
        bench
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("some.gguf")
    }

    fn converted(&self) -> PathBuf {
        self.folder.path().join("converted")
    }

    /// The only file of the folder.
    fn file(&self) -> PathBuf {
        let files: Vec<_> =
            fs::read_dir(self.converted()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        file.clone()
    }

    fn options(&self) -> LoadOptions {
        LoadOptions { converted: Some(self.converted()), ..LoadOptions::default() }
    }

    fn load(&self) -> Model {
        Model::load(&self.model(), &self.options()).unwrap()
    }

    fn kept(&self) -> Kept {
        self.load().description().kept.clone()
    }
}

/// What it writes, with the probabilities of the tokens.
fn written(model: Model) -> impl PartialEq + std::fmt::Debug {
    let sampling = Sampling { max_tokens: 12, logprobs: Some(3), ..Sampling::default() };
    let messages = vec![ChatMessage::new(Role::User, "the other the")];
    let request = Request { messages, sampling, ..Request::default() };
    let generator = Generator::start(model).unwrap();
    let completion = generator.submit(request).unwrap().completion_blocking().unwrap();
    (completion.text, completion.logprobs)
}

#[test]
fn from_a_file_a_model_is_the_same_as_from_memory() {
    for format in ["F16", "Q4_1", "Q8_0", "Q4_K", "Q6_K"] {
        for (hidden, architecture, untied) in
            [(256, "llama", true), (512, "qwen2", false), (256, "qwen3", false)]
        {
            let (format, architecture) = (format.to_owned(), architecture.to_owned());
            let bench =
                Bench::new(TinyModel { format, hidden, architecture, untied, ..TinyModel::default() });
            let plain = Model::load(&bench.model(), &LoadOptions::default()).unwrap();
            let (first, second) = (bench.load(), bench.load());
            let kinds = [&plain, &first, &second].map(|model| model.description().kept.clone());
            assert_eq!(kinds, [Kept::Memory, Kept::Written, Kept::Found], "{:?}", bench.tiny);
            assert_eq!(first.description().held, plain.description().held);
            assert_eq!(second.description().held, plain.description().held);
            assert_eq!(second.description().stored, plain.description().stored);
            let plain = written(plain);
            assert_eq!(written(first), plain, "{:?}", bench.tiny);
            assert_eq!(written(second), plain, "{:?}", bench.tiny);
        }
    }
}

#[test]
fn a_file_has_every_matrix_of_every_expert() {
    let tiny = |architecture: &str| TinyModel {
        architecture: architecture.to_owned(),
        untied: true,
        ..TinyModel::default()
    };
    // Of a layer two matrices of attention, and two of each of four experts, of a shared one, or of none.
    for (tiny, of_layer) in [
        (tiny("phi3"), 4),
        (tiny("gemma3"), 4),
        (tiny("qwen3moe"), 10),
        (tiny("qwen2moe"), 12),
        (TinyModel { mixture: true, ..tiny("llama") }, 10),
    ] {
        let bench = Bench::new(tiny);
        let model = bench.load();
        let blocks = Found::open(&bench.file()).unwrap().directory.blocks;
        assert_eq!(blocks.len(), 2 + 2 * of_layer, "{:?}", bench.tiny);
        let held = model.description().held.iter().find(|format| format.name == "Q8_0").unwrap();
        let bytes: u64 = blocks.values().map(|(_, length)| length).sum();
        assert_eq!(bytes, held.bytes, "what is no matrix is held as floats: {:?}", bench.tiny);
    }
}

#[test]
fn a_model_that_is_replaced_is_converted_anew_in_the_same_place() {
    let bench = Bench::new(TinyModel::default());
    let before = written(bench.load());
    let at = fs::metadata(bench.model()).unwrap().modified().unwrap();
    TinyModel { seed: 2, ..TinyModel::default() }.write(&bench.model()).unwrap();
    // As tools that copy times leave it: the end of the tensors tells them apart.
    File::options().write(true).open(bench.model()).unwrap().set_modified(at).unwrap();
    assert_eq!(bench.kept(), Kept::Written);
    bench.file();
    let after = bench.load();
    assert_eq!(after.description().kept, Kept::Found);
    assert_ne!(written(after), before);
    let file = File::options().write(true).open(bench.model()).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    assert_eq!(bench.kept(), Kept::Written, "the time alone has changed, and nobody knows what else");
}

/// Loads the rest of a model, of which the header was read and the place found, and says where its weights are.
fn load_on(gguf: &Gguf, place: Place) -> Kept {
    let mut weights = Weights::new(gguf, place);
    Network::load(gguf, &mut weights, Hyperparameters::from_gguf(gguf).unwrap(), 64).unwrap();
    weights.finish()
}

#[test]
fn what_is_kept_is_known_by_the_file_that_was_read_and_not_by_what_has_its_name() {
    let bench = Bench::new(TinyModel::default());
    let gguf = Gguf::open(&bench.model()).unwrap();
    let other = bench.folder.path().join("other.gguf");
    TinyModel { seed: 2, ..TinyModel::default() }.write(&other).unwrap();
    fs::rename(other, bench.model()).unwrap();
    let place = Place::of(&gguf, Some(&bench.converted()), None).unwrap();
    assert_eq!(load_on(&gguf, place), Kept::Written);
    assert_eq!(bench.kept(), Kept::Written, "there were the weights of another model");
}

#[test]
fn what_was_read_of_a_model_that_was_written_over_meanwhile_is_not_kept() {
    let bench = Bench::new(TinyModel::default());
    let gguf = Gguf::open(&bench.model()).unwrap();
    let place = Place::of(&gguf, Some(&bench.converted()), None).unwrap();
    TinyModel { seed: 2, ..TinyModel::default() }.write(&bench.model()).unwrap();
    assert!(matches!(load_on(&gguf, place), Kept::Failed(_)));
    assert_eq!(fs::read_dir(bench.converted()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_not_whole_is_written_again() {
    let bench = Bench::new(TinyModel::default());
    assert_eq!(bench.kept(), Kept::Written);
    assert!(fs::metadata(bench.file()).unwrap().permissions().readonly(), "others may have it mapped");
    let whole = fs::read(bench.file()).unwrap();
    let len = whole.len();
    let damages: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("cut", whole[..len - 1].to_vec()),
        ("longer", [&*whole, &[0]].concat()),
        ("a bit of the directory", {
            let mut bytes = whole.clone();
            bytes[len - 80] ^= 1;
            bytes
        }),
        ("a directory of more than there is", {
            let mut bytes = whole.clone();
            bytes[len - 48..len - 40].copy_from_slice(&u64::MAX.to_le_bytes());
            bytes
        }),
    ];
    for (what, bytes) in damages {
        // As a disk that loses writes leaves it; a process that had it mapped would not see this.
        fs::remove_file(bench.file()).unwrap();
        let name = identity::file_name(&bench.model());
        fs::write(bench.converted().join(name), bytes).unwrap();
        assert_eq!(bench.kept(), Kept::Written, "{what}");
        assert_eq!(bench.kept(), Kept::Found, "{what}");
        assert_eq!(fs::read(bench.file()).unwrap(), whole, "{what}");
    }
}

#[test]
fn blocks_outside_of_the_file_are_refused() {
    let bench = Bench::new(TinyModel::default());
    assert_eq!(bench.kept(), Kept::Written);
    let path = bench.file();
    let mut directory = Found::open(&path).unwrap().directory;
    for blocks in directory.blocks.values_mut() {
        blocks.0 = u64::MAX - 4095;
    }
    let new = New::create(path.clone(), directory).unwrap();
    new.finish(&Gguf::open(&bench.model()).unwrap()).unwrap();
    assert!(Found::open(&path).is_err());
    assert_eq!(bench.kept(), Kept::Written);
}

#[test]
fn a_digest_is_known_without_reading_the_model_again() {
    let bench = Bench::new(TinyModel::default());
    assert_eq!(bench.kept(), Kept::Written);
    let digest = Gguf::open(&bench.model()).unwrap().digest().unwrap();
    let load = |sha256: &str| {
        let options = LoadOptions { sha256: Some(sha256.to_owned()), ..bench.options() };
        Model::load(&bench.model(), &options).map(|model| model.description().kept.clone())
    };
    assert_eq!(load(&digest).unwrap(), Kept::Found);
    assert_eq!(load(&digest.to_uppercase()).unwrap(), Kept::Found);
    assert!(matches!(load(&"00".repeat(32)), Err(LoadError::Digest { .. })));
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_file_and_not_the_model() {
    let bench = Bench::new(TinyModel::default());
    fs::write(bench.converted(), "a file").unwrap();
    let model = bench.load();
    assert!(matches!(model.description().kept, Kept::Failed(_)), "{:?}", model.description().kept);
    let plain = Model::load(&bench.model(), &LoadOptions::default()).unwrap();
    assert_eq!(written(model), written(plain));
}

#[test]
fn what_a_killed_process_has_left_is_removed_when_it_is_old() {
    let bench = Bench::new(TinyModel::default());
    fs::create_dir(bench.converted()).unwrap();
    let name = identity::file_name(&bench.model());
    let left = |mark: &str| bench.converted().join(format!("{name}.{mark}.part"));
    for (mark, age) in [("old", 2 * ABANDONED), ("young", Duration::ZERO)] {
        let file = File::create(left(mark)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    assert_eq!(bench.kept(), Kept::Written);
    assert!(!left("old").exists());
    assert!(left("young").exists(), "somebody may be writing it");
}

#[test]
fn what_cannot_be_removed_costs_nothing() {
    let bench = Bench::new(TinyModel::default());
    let name = identity::file_name(&bench.model());
    let folder = bench.converted().join(format!("{name}.odd.part"));
    fs::create_dir_all(&folder).unwrap();
    File::open(&folder).unwrap().set_modified(SystemTime::now() - 2 * ABANDONED).unwrap();
    assert_eq!(bench.kept(), Kept::Written);
    assert!(folder.exists());
}
