//! Everything a build reads files from, but images and stages: contexts, downloads, repositories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use strake_layers::{Cancel, HostDir, ImagePath, Layer, NoticeSink, Timestamp};
use strake_parser::git_ref::GitRef;
use strake_parser::ignore::IgnoreRules;
use strake_registry::Client;
use strake_snapshotter::Store;
use tokio::sync::OnceCell;

use super::context::{ContextOptions, IgnoreFile, MemoFile, Modes, read_small};
use super::files::Files;
use super::ignoring::{self, Ignoring};
use super::include::{self, IncludedFiles};
use super::tree::Tree;
use super::{FetchedFile, as_layer, git, http};
use crate::plan::graph::{AddOptions, CopyFrom};
use crate::plan::{Epoch, NamedContext, NamedContextKind};
use crate::request::{BuildRequest, ContextSource, DockerfileSource};
use crate::{Error, Result};

/// The largest Dockerfile (edges.md 13).
const DOCKERFILE_LIMIT: u64 = 16 << 20;
/// The largest ignore file (edges.md 13).
const IGNORE_LIMIT: u64 = 1 << 20;
/// The build argument that keeps `.git` of a context that is a repository (dockerfile.md §9.7).
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";
/// The names of a Dockerfile that is not named (dockerfile.md §11.1).
const DOCKERFILES: [&str; 3] = ["Dockerfile", "dockerfile", "Containerfile"];

/// Everything a build reads files from, but images and stages. Each is opened at most once, when it is first asked for.
#[derive(Debug)]
pub(crate) struct Sources {
    request: Arc<BuildRequest>,
    client: Arc<Client>,
    store: Arc<Store>,
    notices: NoticeSink,
    cancel: Cancel,
    main: OnceCell<Opened>,
    /// The ignore file of the build context, known with the Dockerfile.
    ignore: OnceLock<Option<IgnoreFile>>,
    /// By name; the build context has none.
    trees: Once<Option<String>, Arc<Named>>,
    /// By address and checksum.
    downloads: Once<(String, Option<String>), FetchedFile>,
    /// By all that is wanted of a repository.
    checkouts: Once<String, Opened>,
    /// Folders of checkouts, kept until the build ends.
    folders: Mutex<Vec<tempfile::TempDir>>,
}

/// Things that are made at most once for each key, different ones at the same time.
#[derive(Debug)]
struct Once<K, V>(Mutex<BTreeMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord, V: Clone> Once<K, V> {
    /// The place of a key.
    fn cell(&self, key: K) -> Arc<OnceCell<V>> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }

    /// What was made so far.
    fn known(&self) -> Vec<V> {
        let cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.values().filter_map(|cell| cell.get().cloned()).collect()
    }
}

/// A context that was opened.
#[derive(Clone, Debug)]
struct Opened {
    files: Files,
    modes: Modes,
    /// Its time, where it has one (dockerfile.md §17.1).
    time: Option<Timestamp>,
    is_folder: bool,
    is_remote: bool,
    /// The Dockerfile, where the context is an address of one.
    dockerfile: Option<(String, Vec<u8>)>,
}

/// A context's tree.
#[derive(Debug)]
struct Named {
    tree: Tree,
    time: Option<Timestamp>,
}

impl Sources {
    /// Makes the sources of a request. Nothing is opened yet.
    pub(crate) fn new(
        request: &Arc<BuildRequest>,
        client: Arc<Client>,
        store: Arc<Store>,
        notices: NoticeSink,
        cancel: Cancel,
    ) -> Self {
        Self {
            request: Arc::clone(request),
            client,
            store,
            notices,
            cancel,
            main: OnceCell::new(),
            ignore: OnceLock::new(),
            trees: Once::default(),
            downloads: Once::default(),
            checkouts: Once::default(),
            folders: Mutex::default(),
        }
    }

    /// Reads the Dockerfile, and with it the ignore file: what messages call it, and its bytes.
    pub(crate) async fn read_dockerfile(&self) -> Result<(String, Vec<u8>)> {
        let main = self.main().await?;
        let (name, bytes, beside) = match &self.request.dockerfile {
            DockerfileSource::Text { name, bytes } => (name.clone(), bytes.clone(), None),
            DockerfileSource::Remote(url) => {
                let page = self.page(url, None).await?;
                let mut bytes = Vec::new();
                if page.content.size > DOCKERFILE_LIMIT {
                    return Err(Error::user(format!("{} has more than {DOCKERFILE_LIMIT} bytes", http::shown(url))));
                }
                page.content.copy_to(&mut bytes)?;
                (page.name.unwrap_or_else(|| "Dockerfile".to_owned()), bytes, None)
            }
            DockerfileSource::File(path) => {
                let bytes = read_host(path, DOCKERFILE_LIMIT)?.ok_or_else(|| {
                    Error::user(format!("failed to read dockerfile: {} does not exist", path.display()))
                })?;
                let name = path.file_name().map_or_else(|| "Dockerfile".into(), |name| name.to_string_lossy());
                (name.into_owned(), bytes, Some(path.clone()))
            }
            DockerfileSource::Context(wanted) => match &main.dockerfile {
                Some((name, bytes)) => (name.clone(), bytes.clone(), None),
                None => {
                    let names = match wanted {
                        Some(name) => vec![name.clone()],
                        None => DOCKERFILES.map(str::to_owned).to_vec(),
                    };
                    let found = main.files.read_first(&names, DOCKERFILE_LIMIT)?;
                    let (name, bytes) = found.ok_or_else(|| {
                        let looked = names.join(", ");
                        let help = match wanted {
                            Some(_) => "--file is a path from the top of this build context: is it spelled right?",
                            None => "name the Dockerfile by --file, or the folder it is in as the build context",
                        };
                        Error::user(format!("failed to read dockerfile: the build context has no {looked}"))
                            .with_help(help)
                    })?;
                    (name, bytes, None)
                }
            },
        };
        let ignore = self.find_ignore_file(&main, &name, beside.as_deref())?;
        self.ignore.get_or_init(|| ignore);
        Ok((name, bytes))
    }

    /// What the Dockerfile may include.
    pub(crate) async fn included_files(&self) -> Result<IncludedFiles> {
        let main = self.main().await?;
        let path = match (&self.request.dockerfile, &self.request.context) {
            (DockerfileSource::Context(Some(path)), _) => path.clone(),
            (DockerfileSource::File(file), ContextSource::Directory(context)) => {
                include::path_inside(context, file).unwrap_or_default()
            }
            (DockerfileSource::Context(None), _) => DOCKERFILES[0].to_owned(),
            _ => String::new(),
        };
        Ok(IncludedFiles::new(main.files, path))
    }

    /// The rules of the build context's ignore file, once the Dockerfile was read.
    pub(crate) fn ignore_rules(&self) -> Option<Arc<IgnoreRules>> {
        self.ignore.get()?.as_ref().map(|ignore| Arc::new(ignore.rules.clone()))
    }

    /// Where a file beside the Dockerfile or at the top of the build context is on this host.
    pub(crate) fn host_path(&self, name: &str) -> Option<PathBuf> {
        if let DockerfileSource::File(path) = &self.request.dockerfile {
            let own = path.file_name()?.to_string_lossy();
            if name == own || name.strip_suffix(".dockerignore") == Some(&*own) {
                return Some(path.with_file_name(name));
            }
        }
        match (&self.request.context, &self.request.dockerfile) {
            (_, DockerfileSource::Text { name: text, .. }) if text == name => None,
            (ContextSource::Directory(folder), _) => Some(folder.join(name)),
            _ => None,
        }
    }

    /// The ignore file of the build context and what it does there, once the Dockerfile was read; nothing for a context
    /// that is no folder.
    pub(crate) async fn ignoring(&self, dockerfile: &str) -> Result<Option<(IgnoreFile, Ignoring)>> {
        let Some(ignore) = self.ignore.get().cloned().flatten() else { return Ok(None) };
        let Files::Folder(root) = self.main().await?.files else { return Ok(None) };
        let (cancel, dockerfile) = (self.cancel.clone(), dockerfile.to_owned());
        let walk = tokio::task::spawn_blocking(move || {
            let done = ignoring::look(&root, &ignore.rules, &[&dockerfile, &ignore.name], &cancel)?;
            Ok(Some((ignore, done)))
        });
        walk.await.map_err(|error| Error::internal(format!("reading a context ended abnormally: {error}")))?
    }

    /// The time that `SOURCE_DATE_EPOCH` stands for.
    pub(crate) async fn epoch(&self, epoch: Option<&Epoch>) -> Result<Option<Timestamp>> {
        match epoch {
            None => Ok(None),
            Some(Epoch::Seconds(seconds)) => Ok(Some(Timestamp::from_seconds(*seconds))),
            Some(Epoch::Context) => Ok(self.main().await?.time),
            Some(Epoch::Remote(address)) => {
                Ok(self.open_remote(address, "source of SOURCE_DATE_EPOCH", false).await?.time)
            }
            Some(Epoch::NamedContext(name)) => Ok(self.named(&CopyFrom::NamedContext(name.clone())).await?.time),
        }
    }

    /// The tree of the build context or a named one.
    pub(crate) async fn tree(&self, from: &CopyFrom) -> Result<Tree> {
        Ok(self.named(from).await?.tree.clone())
    }

    /// Tells whether a tree is there without waiting for a server.
    pub(crate) fn is_at_hand(&self, from: &CopyFrom) -> bool {
        match from {
            CopyFrom::Context => self.main.initialized(),
            CopyFrom::NamedContext(name) => {
                self.given(name).is_ok_and(|value| value.is_some_and(|value| Path::new(&value).is_dir()))
            }
            _ => false,
        }
    }

    /// All files of a named context as one layer, for a stage that starts from it.
    pub(crate) async fn as_layer(&self, name: &str) -> Result<Arc<Layer>> {
        let tree = self.tree(&CopyFrom::NamedContext(name.to_owned())).await?;
        let cancel = self.cancel.clone();
        let layer = tokio::task::spawn_blocking(move || as_layer(&tree, &cancel)).await;
        Ok(Arc::new(layer.map_err(|error| Error::internal(format!("reading a context ended abnormally: {error}")))??))
    }

    /// Downloads the file of an ADD.
    pub(crate) async fn download(&self, url: &str, checksum: Option<&str>) -> Result<FetchedFile> {
        let cell = self.downloads.cell((url.to_owned(), checksum.map(str::to_owned)));
        let file = cell.get_or_try_init(async || {
            let page = self.page(url, checksum).await?;
            Ok::<_, Error>(FetchedFile {
                // The Dockerfile alone says what the file is called, whatever a server or its redirects say.
                name: strake_registry::file_name(url).unwrap_or_else(|| "__unnamed__".to_owned()),
                content: page.content,
                mtime: page.modified.unwrap_or_default(),
            })
        });
        file.await.cloned()
    }

    /// Checks out the repository of an ADD.
    pub(crate) async fn checkout(&self, wanted: &GitRef, options: Option<&AddOptions>) -> Result<Tree> {
        let mut wanted = git::Wanted::of(wanted);
        if let Some(options) = options {
            wanted.add(options);
        }
        let opened = self.open_git(&wanted).await?;
        opened.files.tree(self.options(format!("repository {}", git::shown(&wanted.remote)), None, opened.modes))
    }

    /// Writes what is remembered for later builds. It is called when the build has ended.
    pub(crate) async fn save(&self) {
        for named in self.trees.known() {
            if let Some(context) = named.tree.as_context() {
                context.save();
            }
        }
    }

    async fn main(&self) -> Result<Opened> {
        let opened = self.main.get_or_try_init(async || match &self.request.context {
            ContextSource::Empty => Ok(Opened::plain(Files::empty())),
            ContextSource::Directory(path) => open_folder(path, "path"),
            ContextSource::Tar(path) => {
                let file =
                    std::fs::File::open(path).map_err(|error| strake_layers::Error::host("open", path, error))?;
                let files = self.archive("build context", file).await?;
                let files = files.ok_or_else(|| Error::user("the build context is no tar archive"))?;
                Ok(Opened { time: files.newest(), ..Opened::plain(files) })
            }
            ContextSource::Remote(address) => {
                let keeps_git_dir = self.request.build_args.iter().rev().find(|(name, _)| name == KEEP_GIT_DIR);
                let keeps_git_dir = keeps_git_dir.and_then(|(_, value)| strake_parser::parse_bool(value));
                self.open_remote(address, "build context", keeps_git_dir.unwrap_or(false)).await
            }
        });
        opened.await.cloned()
    }

    async fn named(&self, from: &CopyFrom) -> Result<Arc<Named>> {
        let key = match from {
            CopyFrom::NamedContext(name) => Some(name.clone()),
            _ => None,
        };
        let cell = self.trees.cell(key);
        cell.get_or_try_init(|| self.open_context(from)).await.cloned()
    }

    async fn open_context(&self, from: &CopyFrom) -> Result<Arc<Named>> {
        let named = match from {
            CopyFrom::Context => {
                let main = self.main().await?;
                let ignore = self.ignore.get().cloned().flatten();
                let tree = main.files.tree(self.options("build context".to_owned(), ignore, main.modes))?;
                Named { tree, time: main.time }
            }
            CopyFrom::NamedContext(name) => {
                let title = format!("build context {name:?}");
                let opened = self.open_named(name, &title).await?;
                let ignore =
                    if opened.is_folder { ignore_file(&opened.files, &[".dockerignore".to_owned()])? } else { None };
                Named { tree: opened.files.tree(self.options(title, ignore, opened.modes))?, time: opened.time }
            }
            _ => return Err(Error::internal("an image or a stage is no context")),
        };
        Ok(Arc::new(named))
    }

    /// What was given for a named context of files.
    fn given(&self, name: &str) -> Result<Option<String>> {
        for (given, value) in self.request.named_contexts.iter().rev() {
            let context = NamedContext::parse(given, value)?;
            if let NamedContextKind::Files(value) = context.kind
                && context.name == name
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    async fn open_named(&self, name: &str, title: &str) -> Result<Opened> {
        let value = self.given(name)?;
        let value = value.ok_or_else(|| Error::internal(format!("no build context is called {name:?}")))?;
        let is_remote =
            value.starts_with("http://") || value.starts_with("https://") || GitRef::parse(&value).is_some();
        if is_remote && !Path::new(&value).is_dir() {
            self.open_remote(&value, title, false).await
        } else {
            open_folder(Path::new(&value), title)
        }
    }

    async fn open_remote(&self, address: &str, title: &str, keeps_git_dir: bool) -> Result<Opened> {
        if let Some(reference) = GitRef::parse_context(address) {
            let reference = reference
                .map_err(|error| Error::user(format!("{title}: {error}")).with_help(crate::plan::GIT_ADDRESS))?;
            let mut wanted = git::Wanted::of(&reference);
            wanted.keeps_git_dir |= keeps_git_dir;
            return self.open_git(&wanted).await;
        }
        let page = self.page(address, None).await?;
        let file = self.store.blobs().open_blob(&page.digest)?;
        if let Some(files) = self.archive(title, file).await? {
            let time = page.modified.or_else(|| files.newest());
            return Ok(Opened { time, is_remote: true, ..Opened::plain(files) });
        }
        let name = page.name.clone().unwrap_or_else(|| "Dockerfile".to_owned());
        let mut dockerfile = None;
        if page.content.size <= DOCKERFILE_LIMIT {
            let mut bytes = Vec::new();
            page.content.copy_to(&mut bytes)?;
            dockerfile = Some((name.clone(), bytes));
        }
        let path = ImagePath::parse(&name).map_err(|error| Error::user(format!("{title}: {name:?}: {error}")))?;
        let mtime = page.modified.unwrap_or_default();
        let meta = strake_layers::Metadata { mode: 0o600, mtime, ..Default::default() };
        let entry = strake_layers::Entry { path, meta, kind: strake_layers::EntryKind::File(page.content) };
        let files = Files::Entries(Arc::new(strake_layers::Rootfs::new(vec![vec![entry].into()])));
        Ok(Opened { time: page.modified, is_remote: true, dockerfile, ..Opened::plain(files) })
    }

    async fn open_git(&self, wanted: &git::Wanted) -> Result<Opened> {
        let cell = self.checkouts.cell(format!("{wanted:?}"));
        cell.get_or_try_init(|| self.fetch_git(wanted)).await.cloned()
    }

    async fn fetch_git(&self, wanted: &git::Wanted) -> Result<Opened> {
        let secret = self.secrets()?;
        let agent = self.request.ssh.iter().find(|agent| agent.id == "default").map(|agent| agent.socket.clone());
        let access = git::Access::of(&wanted.remote, &secret, agent);
        let checkout = git::checkout(wanted, &access, &self.store.blobs().scratch(), &self.cancel).await?;
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).push(checkout.folder);
        let files = Files::Folder(Arc::new(checkout.root));
        let modes = Modes::Git(wanted.has_commit_time.then_some(checkout.time));
        Ok(Opened { modes, time: Some(checkout.time), is_remote: true, ..Opened::plain(files) })
    }

    async fn page(&self, url: &str, checksum: Option<&str>) -> Result<http::Page> {
        let headers = http::headers(url, &self.secrets()?);
        http::fetch(url, checksum, headers, &self.client, &self.store).await
    }

    async fn archive(&self, name: &str, file: std::fs::File) -> Result<Option<Files>> {
        let (name, scratch, cancel) = (name.to_owned(), self.store.blobs().scratch(), self.cancel.clone());
        let read = tokio::task::spawn_blocking(move || Files::archive(&name, file, &scratch, &cancel)).await;
        read.map_err(|error| Error::internal(format!("reading an archive ended abnormally: {error}")))?
    }

    fn secrets(&self) -> Result<impl Fn(&str) -> Option<Vec<u8>> + use<>> {
        let values = crate::secrets::read(&self.request.secrets)?;
        Ok(move |id: &str| values.get(id).map(|value| value.to_vec()))
    }

    fn options(&self, name: String, ignore: Option<IgnoreFile>, modes: Modes) -> ContextOptions {
        let store = Arc::clone(&self.store);
        let memo_file = MemoFile(Arc::new(move |context| store.context_path(context)));
        ContextOptions {
            name,
            ignore,
            modes,
            memo_file: (modes == Modes::Kept).then_some(memo_file),
            now: self.request.now,
            notices: self.notices.clone(),
            cancel: self.cancel.clone(),
        }
    }

    /// Finds the ignore file (dockerfile.md §12.1); a remote context has none.
    fn find_ignore_file(&self, main: &Opened, dockerfile: &str, beside: Option<&Path>) -> Result<Option<IgnoreFile>> {
        if main.is_remote {
            return Ok(None);
        }
        if let Some(path) = beside {
            let mut own = path.as_os_str().to_owned();
            own.push(".dockerignore");
            let own = PathBuf::from(own);
            if let Some(bytes) = read_host(&own, IGNORE_LIMIT)? {
                let name = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return IgnoreFile::parse(&name, &bytes).map(Some);
            }
        }
        let mut names = Vec::new();
        if let (DockerfileSource::Context(_), None) = (&self.request.dockerfile, beside) {
            names.push(format!("{dockerfile}.dockerignore"));
        }
        names.push(".dockerignore".to_owned());
        if dockerfile.ends_with("Containerfile") {
            names.push(".containerignore".to_owned());
        }
        ignore_file(&main.files, &names)
    }
}

impl Opened {
    fn plain(files: Files) -> Self {
        Self { files, modes: Modes::Kept, time: None, is_folder: false, is_remote: false, dockerfile: None }
    }
}

fn open_folder(path: &Path, title: &str) -> Result<Opened> {
    let root = HostDir::open(path).map_err(|error| match &error {
        strake_layers::Error::Host { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::user(format!("unable to prepare context: {title} {:?} not found", path.display().to_string()))
        }
        _ => error.into(),
    })?;
    Ok(Opened { is_folder: true, ..Opened::plain(Files::Folder(Arc::new(root))) })
}

fn ignore_file(files: &Files, names: &[String]) -> Result<Option<IgnoreFile>> {
    let found = files.read_first(names, IGNORE_LIMIT)?;
    found.map(|(name, bytes)| IgnoreFile::parse(&name, &bytes)).transpose()
}

/// Reads a file of the host that the user names, if it is there. It never blocks.
pub(super) fn read_host(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let real = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(strake_layers::Error::host("open", path, error).into()),
    };
    let (Some(folder), Some(name)) = (real.parent(), real.file_name()) else {
        return Err(Error::user(format!("{} is a directory", path.display())));
    };
    let name = ImagePath::parse(name.as_encoded_bytes())
        .map_err(|error| Error::user(format!("{}: {error}", path.display())))?;
    read_small(&HostDir::open(folder)?, &name, limit)
}
