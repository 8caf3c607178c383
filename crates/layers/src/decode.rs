//! What layers keep of earlier positions, where a text is written a position at a time.

use onestep_engine::{DType, Named, Value};

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::parts::{Decoding, POSITION, Place, StateSpec};

impl BuildContext {
    /// Makes the graph one that decodes.
    pub(crate) fn decode(&mut self, decoding: Decoding, window: usize) -> Result<(), LayerError> {
        let position = match decoding {
            Decoding::Prefill => None,
            Decoding::Step => {
                let leaf = self.graph.input(POSITION, &[self.batch()], DType::I32);
                Some(leaf.map_err(|error| LayerError::from(error).within(POSITION))?)
            }
        };
        self.decoding = Some(Place { window, position });
        Ok(())
    }

    /// Whether the graph decodes: layers keep what later positions need of earlier ones.
    pub fn decodes(&self) -> bool {
        self.decoding.is_some()
    }

    /// Where the only position of each sample stands, i32 `[batch]`, where the graph is a step of decoding;
    /// `None` where samples are whole.
    pub fn position(&self) -> Option<Value> {
        self.decoding.and_then(|place| place.position)
    }

    /// How many positions a table for samples of `length` positions needs: in a step of decoding as many as
    /// a text may have.
    pub(crate) fn places(&self, length: usize) -> usize {
        match self.decoding {
            Some(Place { window, position: Some(_) }) => window,
            _ => length,
        }
    }

    /// The rows of a table `[places, d]` that belong to the positions at hand: the table, or in a step of
    /// decoding `[batch, 1, d]`.
    pub(crate) fn rows_in_place(&mut self, table: Value) -> Result<Value, LayerError> {
        let Some(position) = self.position() else { return Ok(table) };
        let (batch, width) = (self.batch(), self.dims(table)[1]);
        let rows = self.graph.gather(table, position)?;
        Ok(self.graph.reshape(rows, &[batch, 1, width])?)
    }

    /// How many positions each sample has so far, i32 `[batch]`, in a step of decoding.
    pub(crate) fn lengths_so_far(&mut self) -> Result<Option<Value>, LayerError> {
        let Some(position) = self.position() else { return Ok(None) };
        let place = self.graph.cast(position, DType::F32)?;
        let length = self.graph.offset(place, 1.0)?;
        Ok(Some(self.graph.cast(length, DType::I32)?))
    }

    /// Keeps rows `[batch, heads, positions, d]` of the positions at hand as the state `PATH.name`
    /// `[batch, heads, window, d]`, where the graph decodes. Gives the rows of all positions so far: the same,
    /// or in a step those that are kept; what stands behind them is from before.
    pub(crate) fn cached(&mut self, name: &str, rows: Value) -> Result<Value, LayerError> {
        let Some(Place { window, position }) = self.decoding else { return Ok(rows) };
        let mut dims = self.dims(rows);
        dims[2] = window;
        let layer = self.path();
        // Never another layer's, even where the weights are.
        let name = format!("{layer}.{name}");
        let kept = self.graph.state(&name, &dims)?;
        let shape = self.graph.shape(kept).clone();
        self.states.push(StateSpec {
            name: name.clone(),
            shape,
            layer,
            initial: 0.0,
            derived: None,
        });
        let all = match position {
            None => rows,
            Some(position) => {
                let batch = self.batch();
                let g = &mut self.graph;
                let places: Vec<f32> = (0..window).map(|place| place as f32).collect();
                let places = g.constant_tensor(&[1, 1, window, 1], &places)?;
                let place = g.cast(position, DType::F32)?;
                let place = g.reshape(place, &[batch, 1, 1, 1])?;
                let is_here = g.eq(places, place)?;
                let [is_here, rows] = [g.broadcast(is_here, &dims)?, g.broadcast(rows, &dims)?];
                g.select(is_here, rows, kept)?
            }
        };
        self.state_updates.push(Named::new(name, all));
        Ok(all)
    }
}
