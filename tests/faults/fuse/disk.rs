//! The disk behind the file system of our own: for each file what is on the platter and what was written since, for
//! each directory the same of its names; and the images that a power cut can make of it.
//!
//! ```text
//! platter ──► write, write, size ... (since the last sync) ──► what the cache shows
//!    └── image: of each page any age, whole or torn at 512 bytes; of the size any; of the names a part, in order
//! ```

use crate::ground::Moments;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const PAGE: u64 = 4096;
const SECTOR: usize = 512;
/// The number of the root directory, as the protocol has it.
pub(crate) const ROOT: u64 = 1;

/// Files by name.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// A change of a file that no sync has made durable.
#[derive(Debug)]
pub(crate) enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Size(u64),
}

/// A change of a directory that no sync has made durable.
#[derive(Clone, Debug)]
enum NameChange {
    Set(String, u64),
    Remove(String),
    Move(String, String, u64),
}

#[derive(Default)]
pub(crate) struct FileNode {
    /// The name it had last.
    pub(crate) name: String,
    pub(crate) mode: u32,
    /// What the cache shows.
    pub(crate) now: Vec<u8>,
    platter: Arc<Vec<u8>>,
    log: Vec<Arc<Change>>,
}

#[derive(Clone, Default)]
pub(crate) struct DirNode {
    pub(crate) mode: u32,
    pub(crate) names: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    log: Vec<NameChange>,
}

pub(crate) enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// What the disk does wrong. The counted ones strike once, when their count has come down to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knobs {
    /// Reads of this part of the file of that name fail.
    pub(crate) unreadable: Option<(String, std::ops::Range<u64>)>,
    /// After so many more syncs of files one fails. It made nothing durable.
    pub(crate) fails_sync: Option<u64>,
    /// After so many more writes one fails. The kernel tells the sync that waits for it, and forgets the page.
    pub(crate) fails_write: Option<u64>,
    /// Syncs of files whose name ends like this say yes, and what they were to make durable never gets there.
    pub(crate) lies: Option<&'static str>,
    /// How long each sync of a file takes.
    pub(crate) delay: std::time::Duration,
}

pub(crate) struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    pub(crate) knobs: Knobs,
    /// Syncs of files that were answered, failed and lied ones among them.
    pub(crate) syncs: u64,
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Size(size) => bytes.resize(*size as usize, 0),
        Change::Write { at, bytes: new } => {
            let end = *at as usize + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at as usize..end].copy_from_slice(new);
        }
    }
}

fn rename(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Set(name, node) => {
            names.insert(name.clone(), *node);
        }
        NameChange::Remove(name) => {
            names.remove(name);
        }
        NameChange::Move(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}

impl Disk {
    /// A disk that holds these files, and nothing else, durably.
    pub(crate) fn new(image: &Image) -> Disk {
        let mut disk = Disk { nodes: BTreeMap::new(), next: ROOT + 1, knobs: Knobs::default(), syncs: 0 };
        let mut root = DirNode { mode: 0o700, ..DirNode::default() };
        for (name, bytes) in image {
            let file = FileNode {
                name: name.clone(),
                mode: 0o600,
                now: bytes.clone(),
                platter: Arc::new(bytes.clone()),
                log: Vec::new(),
            };
            root.names.insert(name.clone(), disk.add(Node::File(file)));
        }
        root.durable = root.names.clone();
        disk.nodes.insert(ROOT, Node::Dir(root));
        disk
    }

    fn add(&mut self, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        number
    }

    pub(crate) fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    pub(crate) fn node_mut(&mut self, number: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&number)
    }

    pub(crate) fn file(&mut self, number: u64) -> Option<&mut FileNode> {
        match self.nodes.get_mut(&number)? {
            Node::File(file) => Some(file),
            Node::Dir(_) => None,
        }
    }

    pub(crate) fn dir(&mut self, number: u64) -> Option<&mut DirNode> {
        match self.nodes.get_mut(&number)? {
            Node::Dir(dir) => Some(dir),
            Node::File(_) => None,
        }
    }

    /// How many names a file has.
    pub(crate) fn links(&self, number: u64) -> u32 {
        let named = |node: &Node| match node {
            Node::Dir(dir) => dir.names.values().filter(|&&n| n == number).count() as u32,
            Node::File(_) => 0,
        };
        self.nodes.values().map(named).sum()
    }

    pub(crate) fn make(&mut self, parent: u64, name: &str, mode: u32, is_dir: bool) -> Option<u64> {
        self.dir(parent)?;
        let node = if is_dir {
            Node::Dir(DirNode { mode, ..DirNode::default() })
        } else {
            Node::File(FileNode { name: name.to_owned(), mode, ..FileNode::default() })
        };
        let number = self.add(node);
        let dir = self.dir(parent)?;
        dir.names.insert(name.to_owned(), number);
        dir.log.push(NameChange::Set(name.to_owned(), number));
        Some(number)
    }

    pub(crate) fn remove(&mut self, parent: u64, name: &str) -> bool {
        let Some(dir) = self.dir(parent) else { return false };
        let there = dir.names.remove(name).is_some();
        if there {
            dir.log.push(NameChange::Remove(name.to_owned()));
        }
        there
    }

    pub(crate) fn rename(&mut self, parent: u64, from: &str, other: u64, to: &str) -> bool {
        let Some(node) = self.dir(parent).and_then(|dir| dir.names.remove(from)) else { return false };
        if parent == other {
            let change = NameChange::Move(from.to_owned(), to.to_owned(), node);
            let dir = self.dir(parent).expect("it was there");
            dir.names.insert(to.to_owned(), node);
            dir.log.push(change);
        } else {
            self.dir(parent).expect("it was there").log.push(NameChange::Remove(from.to_owned()));
            let Some(dir) = self.dir(other) else { return false };
            dir.names.insert(to.to_owned(), node);
            dir.log.push(NameChange::Set(to.to_owned(), node));
        }
        if let Some(file) = self.file(node) {
            to.clone_into(&mut file.name);
        }
        true
    }

    pub(crate) fn change(&mut self, number: u64, change: Change) -> bool {
        let Some(file) = self.file(number) else { return false };
        apply(&mut file.now, &change);
        file.log.push(Arc::new(change));
        true
    }

    /// What was written to the file is on the platter from here on; or, from a disk that lies, never will be.
    pub(crate) fn sync(&mut self, number: u64) {
        let lies = self.knobs.lies;
        let Some(file) = self.file(number) else { return };
        let log = std::mem::take(&mut file.log);
        if lies.is_some_and(|end| file.name.ends_with(end)) {
            return;
        }
        let platter = Arc::make_mut(&mut file.platter);
        log.iter().for_each(|change| apply(platter, change));
    }

    pub(crate) fn sync_dir(&mut self, number: u64) {
        let Some(dir) = self.dir(number) else { return };
        dir.durable = dir.names.clone();
        dir.log.clear();
    }

    /// The root directory as it stands, platter and what was not synced.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let Some(Node::Dir(root)) = self.nodes.get(&ROOT) else { unreachable!("a root") };
        let files = self.nodes.iter().filter_map(|(&number, node)| match node {
            Node::File(file) => Some((number, (file.platter.clone(), file.log.clone()))),
            Node::Dir(_) => None,
        });
        Snapshot { root: root.clone(), files: files.collect() }
    }
}

/// What is on the platter of a file, and what was written since.
type Ages = (Arc<Vec<u8>>, Vec<Arc<Change>>);

/// The disk at a moment.
pub(crate) struct Snapshot {
    root: DirNode,
    files: BTreeMap<u64, Ages>,
}

/// How a page of an image comes about.
#[derive(Clone, Copy)]
struct Odds {
    /// Of 8 pages so many have the age of the platter, so many the newest, the others any.
    old: u64,
    newest: u64,
    /// Of 8 pages so many are torn.
    torn: u64,
}

impl Snapshot {
    /// What only the cache held is lost.
    pub(crate) fn platter(&self) -> Image {
        let files = self.root.durable.iter().filter_map(|(name, number)| {
            let (platter, _) = self.files.get(number)?;
            Some((name.clone(), platter.to_vec()))
        });
        files.collect()
    }

    /// What a power cut could leave, as `moments` draws it.
    pub(crate) fn image(&self, moments: &mut Moments) -> Image {
        let odds = match moments.below(6) {
            0 => Odds { old: 8, newest: 0, torn: 0 },
            1 => Odds { old: 0, newest: 8, torn: 0 },
            2 => Odds { old: 4, newest: 4, torn: 0 },
            3 => Odds { old: 1, newest: 6, torn: 1 },
            4 => Odds { old: 2, newest: 2, torn: 2 },
            _ => Odds { old: 0, newest: 0, torn: 8 },
        };
        let mut names = self.root.durable.clone();
        if moments.below(4) > 0 {
            // A journaling file system keeps the order.
            let kept = moments.below(self.root.log.len() as u64 + 1) as usize;
            self.root.log[..kept].iter().for_each(|change| rename(&mut names, change));
        } else {
            // Another may not. A file that would have lost its name without having got the next one keeps it.
            for change in &self.root.log {
                let moved = matches!(change, NameChange::Move(from, ..) if !names.contains_key(from));
                if !moved && moments.below(2) == 0 {
                    rename(&mut names, change);
                }
            }
        }
        let mut image = Image::new();
        for (name, number) in names {
            // A directory is no file of the journal.
            let Some((platter, log)) = self.files.get(&number) else { continue };
            image.insert(name, file_image(platter, log, odds, moments));
        }
        image
    }
}

/// A file of an image: of the size and of each page some age.
fn file_image(platter: &[u8], log: &[Arc<Change>], odds: Odds, moments: &mut Moments) -> Vec<u8> {
    if log.is_empty() {
        return platter.to_vec();
    }
    // The ages of the size, and of each page that was written to.
    let mut sizes = vec![platter.len()];
    let mut pages: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
    let mut now = platter.to_vec();
    let page_of = |bytes: &[u8], page: usize| {
        let mut copy = vec![0; PAGE as usize];
        let from = page * PAGE as usize;
        if from < bytes.len() {
            let until = bytes.len().min(from + PAGE as usize);
            copy[..until - from].copy_from_slice(&bytes[from..until]);
        }
        copy
    };
    for change in log {
        let touched = match &**change {
            Change::Write { at, bytes } => {
                (*at / PAGE) as usize..(at + bytes.len() as u64).div_ceil(PAGE) as usize
            }
            // A file that is cut loses what lay behind the cut; one that grows has zeros there.
            Change::Size(size) if (*size as usize) < now.len() => {
                (*size / PAGE) as usize..now.len().div_ceil(PAGE as usize)
            }
            Change::Size(_) => 0..0,
        };
        for page in touched.clone() {
            pages.entry(page).or_insert_with(|| vec![page_of(&now, page)]);
        }
        apply(&mut now, change);
        for page in touched {
            pages.get_mut(&page).expect("it was just looked at").push(page_of(&now, page));
        }
        sizes.push(now.len());
    }
    let size = match moments.below(4) {
        0 => sizes[moments.below(sizes.len() as u64) as usize],
        _ if odds.old == 8 => sizes[0],
        _ => *sizes.last().expect("the first one at least"),
    };
    let mut bytes = platter.to_vec();
    let end = pages.keys().next_back().map_or(0, |&last| (last + 1) * PAGE as usize);
    bytes.resize(bytes.len().max(end).max(size), 0);
    for (page, ages) in pages {
        let any = |moments: &mut Moments| moments.below(ages.len() as u64) as usize;
        let drawn = moments.below(8);
        let age = if drawn < odds.old {
            0
        } else if drawn < odds.old + odds.newest {
            ages.len() - 1
        } else {
            any(moments)
        };
        let target = &mut bytes[page * PAGE as usize..(page + 1) * PAGE as usize];
        target.copy_from_slice(&ages[age]);
        if moments.below(8) < odds.torn {
            let other = &ages[any(moments)];
            for (to, from) in target.chunks_mut(SECTOR).zip(other.chunks(SECTOR)) {
                if moments.below(2) == 0 {
                    to.copy_from_slice(from);
                }
            }
        }
    }
    bytes.truncate(size);
    bytes
}
