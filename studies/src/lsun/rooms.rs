//! Pictures of rooms, drawn to try a generator on. They are no bedrooms of LSUN, and not called so.

use std::sync::Arc;

use coordrl_envs::Rng;
use image::{Rgb, RgbImage};

use crate::data::SplitIndices;
use crate::draws::{Purpose, between, stream};
use crate::folder::{FolderError, Pictures};
use crate::task::DrawnPictures;

/// The pictures: 4 000 to learn from, 500 held out.
pub(super) const DRAWN: DrawnPictures = DrawnPictures {
    name: "builtin:rooms",
    make: || {
        let rooms = Rooms { classes: vec!["room".to_owned()] };
        (Arc::new(rooms), SplitIndices::in_turn(4000, 500))
    },
};

/// Seed of the pictures, the same for all runs.
const SEED: u64 = 1807;
/// Height and width, in pixels.
const SIDE: u32 = 64;

struct Rooms {
    classes: Vec<String>,
}

impl Pictures for Rooms {
    fn load(&self, row: usize) -> Result<RgbImage, FolderError> {
        let room = Room::draw(&mut stream(SEED, Purpose::Rooms, row as u64));
        let place = |pixel: u32| (f64::from(pixel) + 0.5) / f64::from(SIDE);
        Ok(RgbImage::from_fn(SIDE, SIDE, |column, row| Rgb(room.colour(place(column), place(row)))))
    }

    fn class(&self, _row: usize) -> usize {
        0
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

type Colour = [u8; 3];

/// A back wall with a window, a floor with a bed, and a lamp; places are shares of the picture.
struct Room {
    wall: Colour,
    floor: Colour,
    /// Where the floor begins.
    skirting: f64,
    /// Left, top, right and bottom.
    window: [f64; 4],
    sky: Colour,
    bed: Bed,
    /// Column and row of its middle.
    lamp: [f64; 2],
}

/// A bed, seen from its foot: narrower where it is further away.
struct Bed {
    middle: f64,
    /// Row of its head and of its foot, and half its width at each.
    ends: [[f64; 2]; 2],
    cover: Colour,
}

impl Room {
    fn draw(rng: &mut Rng) -> Self {
        let skirting = between(rng, [0.5, 0.7]);
        let [left, top] = [between(rng, [0.05, 0.6]), between(rng, [0.05, 0.15])];
        let [width, height] = [between(rng, [0.2, 0.35]), between(rng, [0.2, 0.3])];
        let head = skirting - between(rng, [0.0, 0.08]);
        let half = between(rng, [0.12, 0.2]);
        Self {
            wall: colour(rng, [150.0, 250.0]),
            floor: colour(rng, [60.0, 140.0]),
            skirting,
            window: [left, top, left + width, top + height],
            sky: [190, 220, 255],
            bed: Bed {
                middle: between(rng, [0.3, 0.7]),
                ends: [[head, half], [between(rng, [0.85, 0.98]), half * 1.6]],
                cover: colour(rng, [40.0, 255.0]),
            },
            lamp: [between(rng, [0.1, 0.9]), between(rng, [0.05, 0.3])],
        }
    }

    /// Returns the colour of what stands in front at a place.
    fn colour(&self, x: f64, y: f64) -> Colour {
        let [left, top, right, bottom] = self.window;
        let [lamp_x, lamp_y] = self.lamp;
        if (x - lamp_x).hypot(y - lamp_y) < 0.05 {
            [255, 240, 160]
        } else if self.bed.covers(x, y) {
            self.bed.cover
        } else if (left..right).contains(&x) && (top..bottom).contains(&y) {
            self.sky
        } else if y < self.skirting {
            self.wall
        } else {
            self.floor
        }
    }
}

impl Bed {
    fn covers(&self, x: f64, y: f64) -> bool {
        let [[head, narrow], [foot, wide]] = self.ends;
        let share = (y - head) / (foot - head);
        (0.0..1.0).contains(&share) && (x - self.middle).abs() < narrow + share * (wide - narrow)
    }
}

fn colour(rng: &mut Rng, range: [f64; 2]) -> Colour {
    [(); 3].map(|()| between(rng, range) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_the_same_every_time_and_none_is_another() {
        let (rooms, rows) = (DRAWN.make)();
        assert_eq!((rows.train.len(), rows.test.len()), (4000, 500));
        assert_eq!(rooms.load(7).unwrap(), rooms.load(7).unwrap());
        assert_ne!(rooms.load(7).unwrap(), rooms.load(8).unwrap());
    }

    #[test]
    fn a_room_has_its_bed_on_the_floor_and_its_lamp_in_front() {
        let room = Room::draw(&mut stream(SEED, Purpose::Rooms, 3));
        let foot = room.bed.ends[1][0] - 0.01;
        assert_eq!(room.colour(room.bed.middle, foot), room.bed.cover);
        assert_eq!(room.colour(0.001, 0.999), room.floor);
        let [x, y] = room.lamp;
        assert_eq!(room.colour(x, y), [255, 240, 160]);
    }
}
