//! Writes data sets to files: Not-so-Clevr as a picture per square, and everything in one safetensors
//! file; drawn pictures as a folder to learn from.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use coordrl_studies::data::{CANVAS, PIXELS, centres};
use coordrl_studies::{Centre, DrawnPictures, Split};
use tch::{Kind, Tensor};

use crate::durable_file::replace_file;
use crate::run::weights_file;

/// Error writing the data set.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {cause}", .path.display())]
pub struct DumpError {
    /// File or folder in question.
    pub path: PathBuf,
    /// Error from the operating system.
    pub cause: io::Error,
}

/// Writes `squares/x<column>_y<row>.png` for each of the 3136 centres, and
/// `not_so_clevr.safetensors` with `centres` `i64 [3136, 2]` (x, y), `squares` and `pixels` `f32
/// [3136, 64, 64]` (1.0 where white), and for both splits `<split>.train` and `<split>.test`, the
/// indices of their centres.
pub fn write(dir: &Path) -> Result<(), DumpError> {
    let squares = dir.join("squares");
    fs::create_dir_all(&squares).map_err(|cause| DumpError { path: squares.clone(), cause })?;
    for centre in centres() {
        let path = squares.join(format!("x{:02}_y{:02}.png", centre.x, centre.y));
        let size = [CANVAS as u32; 2];
        write_png(&path, size, png::ColorType::Grayscale, &grey(centre))
            .map_err(|cause| DumpError { path, cause })?;
    }
    let path = dir.join("not_so_clevr.safetensors");
    let bytes =
        tensors().and_then(|named| weights_file::to_bytes(&named).map_err(io::Error::other));
    bytes.and_then(|bytes| replace_file(&path, &bytes)).map_err(|cause| DumpError { path, cause })
}

/// Writes drawn pictures as `train/<class>/<number>.png` and `val/<class>/<number>.png`; returns how
/// many.
pub fn write_drawn(drawn: DrawnPictures, dir: &Path) -> Result<usize, DumpError> {
    let (pictures, rows) = (drawn.make)();
    for (side, rows) in [("train", &rows.train), ("val", &rows.test)] {
        for &row in rows {
            let class = dir.join(side).join(&pictures.classes()[pictures.class(row)]);
            let path = class.join(format!("{row:05}.png"));
            fs::create_dir_all(&class).map_err(|cause| DumpError { path: class, cause })?;
            let written = pictures.load(row).map_err(io::Error::other).and_then(|picture| {
                let size = [picture.width(), picture.height()];
                write_png(&path, size, png::ColorType::Rgb, &picture)
            });
            written.map_err(|cause| DumpError { path, cause })?;
        }
    }
    Ok(rows.train.len() + rows.test.len())
}

/// The square as a picture, in grey.
fn grey(centre: Centre) -> Vec<u8> {
    let mut canvas = vec![0f32; PIXELS];
    centre.draw_square(&mut canvas);
    canvas.into_iter().map(|value| if value == 1.0 { 255 } else { 0 }).collect()
}

fn write_png(
    path: &Path,
    [width, height]: [u32; 2],
    colour: png::ColorType,
    bytes: &[u8],
) -> io::Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bytes)?;
    Ok(writer.finish()?)
}

fn tensors() -> io::Result<Vec<(String, Tensor)>> {
    let centres = centres();
    let rows: Vec<i64> =
        centres.iter().flat_map(|centre| [i64::from(centre.x), i64::from(centre.y)]).collect();
    let mut named = vec![
        ("centres".to_owned(), matrix(&Tensor::from_slice(&rows), &[-1, 2])?),
        ("squares".to_owned(), pictures(&centres, Centre::draw_square)?),
        ("pixels".to_owned(), pictures(&centres, Centre::draw_pixel)?),
    ];
    for split in Split::OF_CENTRES {
        let members = split.indices();
        for (part, indices) in [("train", members.train), ("test", members.test)] {
            let indices: Vec<i64> =
                indices.into_iter().filter_map(|index| index.try_into().ok()).collect();
            named.push((format!("{}.{part}", split.name()), Tensor::from_slice(&indices)));
        }
    }

    Ok(named)
}

/// Draws all centres into `f32 [N, 64, 64]`.
fn pictures(centres: &[Centre], draw: impl Fn(Centre, &mut [f32])) -> io::Result<Tensor> {
    let mut all = vec![0f32; centres.len() * PIXELS];
    centres.iter().zip(all.chunks_mut(PIXELS)).for_each(|(centre, canvas)| draw(*centre, canvas));
    let side = CANVAS as i64;
    matrix(&Tensor::from_slice(&all), &[-1, side, side])
}

fn matrix(flat: &Tensor, shape: &[i64]) -> io::Result<Tensor> {
    debug_assert!(matches!(flat.kind(), Kind::Float | Kind::Int64));
    flat.f_view(shape).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_pictures_come_back_from_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let drawn = coordrl_studies::find_task("imagenet").unwrap().drawn.unwrap();
        assert_eq!(write_drawn(drawn, dir.path()).unwrap(), 800);
        let (pictures, _) = (drawn.make)();
        let (folder, rows) =
            coordrl_studies::folder::PictureFolder::list_split(dir.path()).unwrap();
        assert_eq!((rows.train.len(), rows.test.len()), (600, 200));
        assert_eq!(folder.classes, pictures.classes());
        for index in [0, 77, 799] {
            let path = &folder.pictures[index].path;
            let row: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            assert_eq!(folder.load(index).unwrap(), pictures.load(row).unwrap());
            assert_eq!(folder.pictures[index].class, pictures.class(row));
        }
    }

    #[test]
    fn every_square_is_a_picture_and_everything_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("squares")).unwrap().count(), 3136);
        let file = File::open(dir.path().join("squares/x04_y59.png")).unwrap();
        let mut reader = png::Decoder::new(io::BufReader::new(file)).read_info().unwrap();
        let mut grey = vec![0; PIXELS];
        reader.next_frame(&mut grey).unwrap();
        assert_eq!(grey.iter().filter(|&&value| value == 255).count(), 81);
        assert_eq!(
            (grey[55 * 64], grey[54 * 64], grey[63 * 64 + 8], grey[63 * 64 + 9]),
            (255, 0, 255, 0)
        );

        let bytes = fs::read(dir.path().join("not_so_clevr.safetensors")).unwrap();
        let named = weights_file::from_bytes(&bytes).unwrap();
        let get = |name: &str| &named.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(get("squares").size(), [3136, 64, 64]);
        assert_eq!(get("pixels").sum(Kind::Double).double_value(&[]), 3136.0);
        let sizes = ["uniform.train", "uniform.test", "quadrant.train", "quadrant.test"]
            .map(|name| get(name).size()[0]);
        assert_eq!(sizes, [2368, 768, 2407, 729]);
    }
}
