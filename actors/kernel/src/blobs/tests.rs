//! What is a directory's own. Both stores are tested as one, in `tests/it/blobs.rs`.

use super::*;

fn store(root: &std::path::Path) -> Blobs {
    Blobs(Some(Arc::new(Place::Directory(Directory::new(root.to_owned())))))
}

fn files(root: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn keys_lead_nowhere_else() {
    for good in ["a", "exports/0c1d.zip", "a/b/c-d_e.f", &"x".repeat(200)] {
        assert!(checked(good).is_ok(), "{good}");
    }
    let long = "x".repeat(201);
    for bad in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/.b",
        ".partial/a",
        "A",
        "a b",
        "ä",
        "a\0",
        &long,
    ] {
        assert!(checked(bad).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn what_is_there_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let blobs = store(&dir.path().join("blobs"));
    let mut writer = blobs.write("exports/one.zip", 3).await.unwrap();
    writer.write(b"one").await.unwrap();
    writer.finish().await.unwrap();
    let [file] = &files(dir.path())[..] else { panic!("one file") };
    let file = std::path::Path::new(file);
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("one.zip~"));
    for (path, wanted) in [(file, 0o600), (file.parent().unwrap(), 0o700)] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, wanted, "{}", path.display());
    }
}

#[tokio::test]
async fn what_was_not_finished_is_never_there() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = store(dir.path());
    let mut long = blobs.write("a", 5).await.unwrap();
    long.write(b"12345").await.unwrap();
    assert!(matches!(long.write(b"6").await, Err(BlobError::TooLarge(5))));
    drop(long);
    let mut dropped = blobs.write("a", u64::MAX).await.unwrap();
    dropped.write(&vec![0; 2 * PIECE]).await.unwrap();
    assert_eq!(files(dir.path()).len(), 1);
    drop(dropped);
    assert_eq!(files(dir.path()), [""; 0]);
    // Of a process that was killed something stays, until the next begins.
    std::fs::write(dir.path().join(".partial/half"), "half").unwrap();
    // What is being written is another's, and stays.
    let mut writing = blobs.write("a", u64::MAX).await.unwrap();
    writing.write(&vec![0; PIECE]).await.unwrap();
    assert_eq!(files(dir.path()).len(), 2);
    store(dir.path()).tidy().unwrap();
    assert_eq!(files(dir.path()).len(), 1);
    let written = writing.finish().await.unwrap();
    assert!(blobs.read(&written, 0..1).await.is_ok());
    blobs.remove("a").await.unwrap();
    assert_eq!(files(dir.path()), [""; 0]);
    store(dir.path()).tidy().unwrap();
}

#[tokio::test]
async fn uploads_that_nobody_has_adopted_go_after_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let (blobs, directory) = (store(dir.path()), Directory::new(dir.path().to_owned()));
    let mut received = Vec::new();
    for content in [b"1", b"2", b"3"] {
        let mut writer = blobs.receive(1).await.unwrap();
        writer.write(content).await.unwrap();
        received.push(writer.finish().await.unwrap());
    }
    let adopted = blobs.adopt(&received[0], "kept/one").await.unwrap();
    // Once more, by whoever has not heard of it.
    assert_eq!(blobs.adopt(&received[0], "kept/one").await.unwrap(), adopted);
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let kept = directory.path(&adopted.key, &adopted.sha256);
    for path in [&kept, &directory.path(&received[1].key, &received[1].sha256)] {
        std::fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    }
    directory.remove_old_uploads().await.unwrap();
    let gone = blobs.read(&received[1], 0..1).await.map(drop);
    assert!(matches!(gone, Err(BlobError::Gone)));
    for there in [&adopted, &received[2]] {
        blobs.read(there, 0..1).await.map(drop).unwrap();
    }
    let gone = blobs.adopt(&received[1], "kept/two").await;
    assert!(matches!(gone, Err(BlobError::Gone)));
}

#[tokio::test]
async fn where_there_is_no_store_that_is_said() {
    let blobs = Blobs::none();
    assert!(matches!(blobs.write("a", 1).await, Err(BlobError::Unavailable(_))));
    assert!(matches!(blobs.remove("a").await, Err(BlobError::Unavailable(_))));
}
