//! A section's figures as one picture: a panel for each figure, a bar for each who was measured, from the least to the most
//! of its rounds a line.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::{Bar, Entry, Figure, Section, short};

const WIDTH: i32 = 900;
const HEADING: i32 = 26;
const BAR: i32 = 24;
const GAP: i32 = 14;
/// Where bars begin: names stand left of it.
const LEFT: i32 = 300;
/// Room for the value after the longest bar.
const RIGHT: i32 = 130;
const INK: RGBColor = RGBColor(0x1f, 0x29, 0x37);
const OURS: RGBColor = RGBColor(0x0f, 0x76, 0x6e);
const THEIRS: RGBColor = RGBColor(0x9c, 0xa3, 0xaf);

/// The picture as SVG; none where the section has no figures.
pub(crate) fn svg(section: &Section) -> Result<Option<String>> {
    let figures: Vec<&Figure> = section
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Figure(figure) => Some(figure),
            _ => None,
        })
        .collect();
    if figures.is_empty() {
        return Ok(None);
    }
    let height: i32 = figures.iter().map(|figure| height(figure)).sum();
    let mut text = String::new();
    {
        let size = (WIDTH as u32, height.unsigned_abs());
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).map_err(undrawn)?;
        let mut top = 0;
        for figure in figures {
            draw(&area, figure, top)?;
            top += self::height(figure);
        }
        area.present().map_err(undrawn)?;
    }
    Ok(Some(text))
}

fn undrawn(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the picture cannot be drawn: {error}")
}

fn height(figure: &Figure) -> i32 {
    HEADING + BAR * i32::try_from(figure.bars.len()).unwrap_or(0) + GAP
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(area: &Area<'_>, figure: &Figure, top: i32) -> Result<()> {
    let most = figure
        .bars
        .iter()
        .map(Bar::most)
        .fold(f64::MIN_POSITIVE, f64::max);
    let at = |value: f64| LEFT + (value / most * f64::from(WIDTH - LEFT - RIGHT)) as i32;
    let words = |text: String, place: (i32, i32), size: i32, side: HPos| {
        let style = ("sans-serif", size)
            .into_font()
            .color(&INK)
            .pos(Pos::new(side, VPos::Center));
        area.draw(&Text::new(text, place, style)).map_err(undrawn)
    };
    words(
        format!("{}, {}", figure.name, figure.unit),
        (10, top + HEADING / 2 + 4),
        15,
        HPos::Left,
    )?;
    for (number, bar) in figure.bars.iter().enumerate() {
        let y = top + HEADING + BAR * i32::try_from(number)?;
        let middle = y + BAR / 2;
        let color = if number == 0 { OURS } else { THEIRS };
        let corners = [(LEFT, y + 4), (at(bar.median()), y + BAR - 4)];
        area.draw(&Rectangle::new(corners, color.filled()))
            .map_err(undrawn)?;
        let spread = vec![(at(bar.least()), middle), (at(bar.most()), middle)];
        area.draw(&PathElement::new(spread, INK.stroke_width(2)))
            .map_err(undrawn)?;
        words(bar.who.clone(), (LEFT - 8, middle), 13, HPos::Right)?;
        words(short(bar.median()), (at(bar.most()) + 8, middle), 13, HPos::Left)?;
    }
    Ok(())
}
